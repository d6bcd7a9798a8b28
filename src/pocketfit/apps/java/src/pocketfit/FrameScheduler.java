package pocketfit;

/** Which camera frames a model runs: drop, do not queue; the latest frame wins. Nothing is allocated. */
public final class FrameScheduler {
    public static final int BUFFERS = 3;
    public static final long SIXTY_FPS_US = 16_666;

    private static final class Held {
        long frame = -1;
        long arrived;
        int buffer = -1;
        long since;
        boolean warmUp;
        boolean discard;
    }

    private final long intervalUs;
    private final long budgetUs;
    private final long staleUs;
    private final FrameStep step = new FrameStep();
    private final Held running = new Held();
    private final Held waiting = new Held();
    private long now;
    private long due;
    private long seen;
    private long owed;
    private long frameUs;
    private boolean fresh = true;
    private int fill;

    /** With a budget of 60 frames a second. */
    public FrameScheduler() {
        this(SIXTY_FPS_US, SIXTY_FPS_US, 3 * SIXTY_FPS_US);
    }

    /** The pace in microseconds; docs/frames.md tells what the numbers do. */
    public FrameScheduler(long intervalUs, long budgetUs, long staleUs) {
        this.intervalUs = intervalUs;
        this.budgetUs = budgetUs;
        this.staleUs = staleUs;
    }

    /** A frame came, in the buffer fill(); docs/frames.md numbers the steps. */
    public FrameStep arrive(long nowUs, Decision.Action action, Decision.Command command, boolean dropPending) {
        now = Math.max(now, nowUs);
        long frame = seen++;
        begin(FrameStep.Outcome.SKIP);
        obey(action, command, dropPending);
        if (action != Decision.Action.INFER && action != Decision.Action.WARM_UP) {
            return step;
        }
        if (2 * (due - now) > intervalUs) {
            step.outcome = FrameStep.Outcome.EARLY;
            return step;
        }
        due = Math.max(due, now) + intervalUs;
        take(frame);
        return step;
    }

    /** The model has answered. */
    public FrameStep finish(long nowUs) {
        if (running.frame < 0) {
            throw new PocketfitException("no frame is run, so none can be finished");
        }
        now = Math.max(now, nowUs);
        begin(running.discard            ? FrameStep.Outcome.DISCARD
                        : running.warmUp ? FrameStep.Outcome.WARM_UP
                                         : FrameStep.Outcome.USE);
        step.late = now - running.arrived > budgetUs;
        if (step.outcome == FrameStep.Outcome.USE) {
            time(Math.min(now - running.since, Integer.MAX_VALUE));
        }
        free(running);
        if (waiting.frame >= 0 && now - waiting.arrived > staleUs) {
            step.displaced = waiting.frame;
        } else if (waiting.frame >= 0) {
            start(waiting.frame, waiting.arrived, waiting.buffer);
        }
        free(waiting);
        return step;
    }

    /** For the policy's reading. */
    public int inFlight() {
        return running.frame >= 0 ? 1 : 0;
    }

    /** For the policy's reading; 0 is unknown. */
    public long frameUs() {
        return frameUs;
    }

    /** The buffer that the camera writes the next frame to. */
    public int fill() {
        return fill;
    }

    private void begin(FrameStep.Outcome outcome) {
        step.outcome = outcome;
        step.start = -1;
        step.buffer = -1;
        step.warmUp = false;
        step.displaced = -1;
        step.late = false;
        step.fill = fill;
    }

    private void obey(Decision.Action action, Decision.Command command, boolean dropPending) {
        if (action == Decision.Action.WARM_UP) {
            owed++;
        }
        if (command == Decision.Command.SWAP) {
            owed = 0;
            fresh = true;
        }
        if (dropPending && running.frame >= 0) {
            running.discard = true;
        }
        if (action == Decision.Action.WAIT) {
            step.displaced = waiting.frame;
            free(waiting);
        }
    }

    private void take(long frame) {
        int came = fill;
        fill = freeBuffer(came);
        step.fill = fill;
        if (running.frame < 0) {
            step.outcome = FrameStep.Outcome.START;
            start(frame, now, came);
            return;
        }
        step.outcome = FrameStep.Outcome.KEEP;
        step.displaced = waiting.frame;
        waiting.frame = frame;
        waiting.arrived = now;
        waiting.buffer = came;
    }

    private void start(long frame, long arrived, int buffer) {
        running.frame = frame;
        running.arrived = arrived;
        running.buffer = buffer;
        running.since = now;
        running.discard = false;
        running.warmUp = owed > 0;
        owed -= running.warmUp ? 1 : 0;
        step.start = frame;
        step.buffer = buffer;
        step.warmUp = running.warmUp;
    }

    /** A moving average over about eight answers, which a new variant begins anew. */
    private void time(long took) {
        frameUs = fresh ? took : (7 * frameUs + took) / 8;
        fresh = false;
    }

    private int freeBuffer(int came) {
        int buffer = 0;
        while (buffer == came || buffer == running.buffer) {
            buffer++;
        }
        return buffer;
    }

    private static void free(Held held) {
        held.frame = -1;
        held.buffer = -1;
    }
}
