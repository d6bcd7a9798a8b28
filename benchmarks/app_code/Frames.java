import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import pocketfit.Decision;
import pocketfit.FrameRunner;
import pocketfit.FrameScheduler;

/** Weighs what a FrameRunner allocates while every frame is run: Frames COUNT. Prints JSON. */
public final class Frames implements FrameRunner.Work<byte[]> {
    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private volatile long runner = -1;
    private volatile long used;

    private Frames() {}

    public static void main(String[] arguments) {
        new Frames().measure(Integer.parseInt(arguments[0]));
    }

    private void measure(int frames) {
        byte[][] buffers = new byte[FrameScheduler.BUFFERS][64];
        FrameScheduler scheduler = new FrameScheduler(0, FrameScheduler.SIXTY_FPS_US, Integer.MAX_VALUE);
        try (FrameRunner<byte[]> camera = new FrameRunner<>(this, buffers, scheduler)) {
            while (runner < 0) {
                offer(camera, 1);
            }
            offer(camera, 2 * frames);
            long[] ids = {Thread.currentThread().getId(), runner};
            long before = allocated(ids);
            long usedBefore = used;
            offer(camera, frames);
            long more = allocated(ids) - before;
            System.out.println(
                    "{\"bytes\": " + more + ", \"frames\": " + frames + ", \"run\": " + (used - usedBefore) + "}");
        }
    }

    private static void offer(FrameRunner<byte[]> camera, int frames) {
        for (int i = 0; i < frames; i++) {
            camera.offer(Decision.Action.INFER, Decision.Command.NONE, false);
            while (camera.inFlight() > 0) {
                Thread.yield();
            }
        }
    }

    private long allocated(long[] ids) {
        return threads.getThreadAllocatedBytes(ids[0]) + threads.getThreadAllocatedBytes(ids[1]);
    }

    @Override
    public void fill(byte[] buffer) {
        buffer[0]++;
    }

    @Override
    public void run(byte[] buffer) {
        if (runner < 0) {
            runner = Thread.currentThread().getId();
        }
        buffer[1]++;
    }

    @Override
    public void use(long frame) {
        used++;
    }
}
