package pocketfit.selftest;

/** What a suite of vectors came to. */
public final class Suite {
    public final String name;
    public int passed;
    public int total;

    Suite(String name) {
        this.name = name;
    }

    void count(boolean good, String what) {
        total++;
        if (good) {
            passed++;
        } else {
            System.err.println(name + ": " + what + " differs");
        }
    }

    @Override
    public String toString() {
        return "{\"suite\": \"" + name + "\", \"passed\": " + passed + ", \"total\": " + total + "}";
    }
}
