package pocketfit;

/** What to do after an event. The scheduler hands out the same object every time. */
public final class FrameStep {
    public enum Outcome { START, KEEP, SKIP, EARLY, USE, WARM_UP, DISCARD }

    public Outcome outcome;
    /** The frame to run now; -1 for none. */
    public long start;
    /** The buffer that holds it; -1 for none. */
    public int buffer;
    public boolean warmUp;
    /** A waiting frame that is dropped; -1 for none. */
    public long displaced;
    public boolean late;
    /** The buffer for the camera's next frame. */
    public int fill;
}
