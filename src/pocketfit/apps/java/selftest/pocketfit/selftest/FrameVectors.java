package pocketfit.selftest;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import pocketfit.Decision;
import pocketfit.FrameRunner;
import pocketfit.FrameScheduler;
import pocketfit.FrameStep;
import pocketfit.Json;

/** Simulated cameras, one case a line, and a camera on a thread of its own. */
final class FrameVectors {
    private final Json test;
    private final FrameScheduler scheduler;

    private FrameVectors(Json test) {
        this.test = test;
        Json pace = test.at("pace");
        scheduler = new FrameScheduler(
                pace.at("interval_us").integer(), pace.at("budget_us").integer(), pace.at("stale_us").integer());
    }

    static boolean isAboutFrames(File file) throws IOException {
        try (BufferedReader lines = open(file)) {
            String line = lines.readLine();
            return line != null && Json.parse(line).has("pace");
        }
    }

    static List<Suite> replay(File file) throws IOException {
        Suite suite = new Suite("frames");
        try (BufferedReader lines = open(file)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Json test = Json.parse(line);
                suite.count(new FrameVectors(test).replay(), test.at("name").string());
            }
        }
        Suite threads = new Suite("frame threads");
        threads.count(new Camera().run(), "the simulated camera");
        return Arrays.asList(suite, threads);
    }

    private static BufferedReader open(File file) throws IOException {
        return new BufferedReader(new InputStreamReader(new FileInputStream(file), StandardCharsets.UTF_8));
    }

    private boolean replay() {
        List<Json> times = test.at("events").at("time_us").items();
        for (int event = 0; event < times.size(); event++) {
            FrameStep step = follow(times.get(event).integer(), event);
            if (!same(step, event) || scheduler.frameUs() != test.at("frame_us").items().get(event).integer()) {
                return false;
            }
        }
        return true;
    }

    private FrameStep follow(long time, int event) {
        Json action = cell("events", "action", event);
        if (action.isNull()) {
            return scheduler.finish(time);
        }
        return scheduler.arrive(time, Decision.Action.valueOf(action.string().toUpperCase(Locale.ROOT)),
                Decision.Command.valueOf(cell("events", "command", event).string().toUpperCase(Locale.ROOT)),
                cell("events", "drop_pending", event).bool());
    }

    private boolean same(FrameStep step, int event) {
        return step.outcome.name().equalsIgnoreCase(cell("steps", "outcome", event).string())
                && step.start == cell("steps", "start", event).integer()
                && step.buffer == cell("steps", "buffer", event).integer()
                && step.warmUp == cell("steps", "warm_up", event).bool()
                && step.displaced == cell("steps", "displaced", event).integer()
                && step.late == cell("steps", "late", event).bool()
                && step.fill == cell("steps", "fill", event).integer();
    }

    private Json cell(String columns, String name, int event) {
        return test.at(columns).at(name).items().get(event);
    }

    /** Every frame is run whole, at most once and in order, the last one too, however fast the threads are. */
    private static final class Camera implements FrameRunner.Work<long[]> {
        private static final long FRAMES = 2_000;

        private boolean good = true;
        private long offered;
        private long content = -1;
        private long last = -1;
        private long used;

        boolean run() {
            long displaced = 0;
            long[][] buffers = new long[FrameScheduler.BUFFERS][4_096];
            FrameScheduler patient = new FrameScheduler(0, 0, Integer.MAX_VALUE);
            try (FrameRunner<long[]> runner = new FrameRunner<>(this, buffers, patient)) {
                for (offered = 0; offered < FRAMES; offered++) {
                    boolean dropped = runner.offer(Decision.Action.INFER, Decision.Command.NONE, false);
                    displaced += dropped ? 1 : 0;
                }
            }
            return good && last == FRAMES - 1 && used + displaced == FRAMES;
        }

        @Override
        public void fill(long[] buffer) {
            Arrays.fill(buffer, offered);
        }

        @Override
        public void run(long[] buffer) {
            content = buffer[0];
            for (long value : buffer) {
                good &= value == content;
            }
        }

        @Override
        public void use(long frame) {
            good &= content == frame && frame > last;
            last = frame;
            used++;
        }
    }
}
