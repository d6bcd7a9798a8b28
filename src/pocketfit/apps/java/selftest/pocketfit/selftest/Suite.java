package pocketfit.selftest;

/** What a suite of vectors came to. */
final class Suite {
    final String name;
    int passed;
    int total;

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
