package pocketfit.sample;

public final class R {
    public static final class string {
        public static final int choose = 1;
        public static final int test = 2;
    }
}
