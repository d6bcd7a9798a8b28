package pocketfit;

/**
 * A thread that runs a model on the latest frame of a camera. Frames are offered by one thread; nothing is allocated.
 *
 * @param <B> a buffer for the pixels of a frame
 */
public final class FrameRunner<B> implements AutoCloseable {
    /** What is done with frames; run and use are called on the runner's thread, fill on the camera's. */
    public interface Work<B> {
        /** Writes the camera's frame into a buffer; not called for a frame that the policy leaves out. */
        void fill(B buffer);

        /** Runs the model. */
        void run(B buffer);

        /** Uses its answer to the frame of that number; not called for what is thrown away. */
        void use(long frame);
    }

    /** System.nanoTime() may be below 0. */
    private static final long BEGIN_US = System.nanoTime() / 1000;

    private final Work<B> work;
    private final B[] buffers;
    private final FrameScheduler scheduler;
    private final Thread thread = new Thread(this::loop, "pocketfit frames");
    private long nextFrame = -1;
    private int nextBuffer = -1;
    private boolean closed;
    private RuntimeException error;

    /** Takes three buffers and a scheduler that nothing else uses. */
    public FrameRunner(Work<B> work, B[] buffers, FrameScheduler scheduler) {
        if (buffers.length != FrameScheduler.BUFFERS) {
            throw new PocketfitException(buffers.length + " buffers were given; 3 are needed: filled, waiting and run");
        }
        this.work = work;
        this.buffers = buffers.clone();
        this.scheduler = scheduler;
        thread.start();
    }

    /**
     * Tells of a frame; never waits for the model.
     *
     * @return whether a waiting frame was dropped
     * @throws RuntimeException what the model or the use of its answer threw before
     */
    public boolean offer(Decision.Action action, Decision.Command command, boolean dropPending) {
        if (action == Decision.Action.INFER || action == Decision.Action.WARM_UP) {
            work.fill(buffers[scheduler.fill()]);
        }
        synchronized (this) {
            if (error != null) {
                throw error;
            }
            FrameStep step = scheduler.arrive(System.nanoTime() / 1000 - BEGIN_US, action, command, dropPending);
            if (step.start >= 0) {
                nextFrame = step.start;
                nextBuffer = step.buffer;
                notifyAll();
            }
            return step.displaced >= 0;
        }
    }

    public synchronized int inFlight() {
        return scheduler.inFlight();
    }

    /** Time of an inference at present; 0 is unknown. */
    public synchronized long frameUs() {
        return scheduler.frameUs();
    }

    /** Waits for the frame under way and the one behind it, and ends the thread. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        try {
            thread.join();
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void loop() {
        try {
            while (await()) {
                long frame = nextFrame;
                work.run(buffers[nextBuffer]);
                if (finish()) {
                    work.use(frame);
                }
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException thrown) {
            synchronized (this) {
                error = thrown;
            }
        }
    }

    /** Whether there is a frame to run; not after the last. */
    private synchronized boolean await() throws InterruptedException {
        while (nextFrame < 0 && !closed) {
            wait();
        }
        return nextFrame >= 0;
    }

    /** Whether the answer is to be used. */
    private synchronized boolean finish() {
        FrameStep step = scheduler.finish(System.nanoTime() / 1000 - BEGIN_US);
        nextFrame = step.start;
        nextBuffer = step.buffer;
        return step.outcome == FrameStep.Outcome.USE;
    }
}
