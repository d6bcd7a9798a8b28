package android.os;

public class Build {
    public static final String MANUFACTURER = "Stand-in";
    public static final String MODEL = "JVM";

    public static class VERSION {
        public static final int SDK_INT = Integer.getInteger("stub.sdk", 36);
        public static final String RELEASE = "16";

        private VERSION() {}
    }

    public static class VERSION_CODES {
        public static final int O_MR1 = 27;
        public static final int Q = 29;
        public static final int R = 30;

        private VERSION_CODES() {}
    }

    private Build() {}

    /** Fails as a phone does whose release has no such method. */
    public static void since(int level) {
        if (VERSION.SDK_INT < level) {
            throw new NoSuchMethodError("of API " + level + ", called on " + VERSION.SDK_INT);
        }
    }
}
