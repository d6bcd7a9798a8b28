import com.sun.management.ThreadMXBean;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import pocketfit.Bundle;
import pocketfit.Contract;
import pocketfit.Image;
import pocketfit.Json;
import pocketfit.Preprocessor;

/** Times the preprocessing of a 1080p camera image: Speed CONTRACT FRAMES. Prints JSON. */
public final class Speed {
    private Speed() {}

    public static void main(String[] arguments) throws IOException {
        int height = 1080;
        int width = 1920;
        int frames = Integer.parseInt(arguments[1]);
        ByteBuffer buffer = ByteBuffer.allocateDirect(height * width * 3 / 2);
        int state = 1;
        for (int i = 0; i < buffer.capacity(); i++) {
            state = 1664525 * state + 1013904223;
            buffer.put(i, (byte) (state >>> 24));
        }
        Image image = Image.yuv(buffer, height, width, Contract.Format.NV21, 0);
        Preprocessor preprocessor =
                new Preprocessor(Contract.fromJson(Json.parse(Bundle.text(new File(arguments[0])))));
        double[] milliseconds = new double[frames];
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().getId();
        long before = threads.getThreadAllocatedBytes(thread);
        for (int frame = -2 * frames; frame < frames; frame++) {
            if (frame == 0) {
                before = threads.getThreadAllocatedBytes(thread);
            }
            long start = threads.getCurrentThreadCpuTime();
            preprocessor.run(image, 1);
            if (frame >= 0) {
                milliseconds[frame] = (threads.getCurrentThreadCpuTime() - start) / 1e6;
            }
        }
        long allocated = (threads.getThreadAllocatedBytes(thread) - before) / frames;
        System.out.println("{\"bytes_per_frame\": " + allocated + ", \"ms\": " + Arrays.toString(milliseconds) + "}");
    }
}
