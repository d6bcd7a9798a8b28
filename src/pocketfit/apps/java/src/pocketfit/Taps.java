package pocketfit;

import java.util.Arrays;

/** Which input pixels make an output pixel along one axis, and with what integer weights. */
final class Taps {
    /** Of an output: its first input pixel; those behind it follow. */
    final int[] first;
    /** Of an output and the one behind it: where its weights begin. */
    final int[] start;
    int[] weights = new int[64];
    /** A weight of 1 is 2^bits. */
    int bits;

    private int outputs;
    private int used;

    Taps(int inputs, int outputs, Contract.Kernel kernel, boolean antialias) {
        first = new int[outputs];
        start = new int[outputs + 1];
        if (kernel == Contract.Kernel.NEAREST) {
            nearest(inputs, outputs);
        } else if (kernel == Contract.Kernel.AREA) {
            area(inputs, outputs);
        } else if (roundsBetween(kernel, antialias)) {
            widened(inputs, outputs, kernel);
        } else {
            plain(inputs, outputs, kernel);
        }
    }

    /** Whether the columns are rounded to pixels before the rows are computed. */
    static boolean roundsBetween(Contract.Kernel kernel, boolean antialias) {
        return antialias || (kernel != Contract.Kernel.BILINEAR && kernel != Contract.Kernel.BICUBIC);
    }

    int count(int output) {
        return start[output + 1] - start[output];
    }

    private void begin(long pixel) {
        first[outputs] = (int) pixel;
    }

    private void add(long weight) {
        if (used == weights.length) {
            weights = Arrays.copyOf(weights, 2 * used);
        }
        weights[used++] = (int) weight;
    }

    private void end() {
        start[++outputs] = used;
    }

    private void nearest(long inputs, long outputs) {
        for (long i = 0; i < outputs; i++) {
            begin((2 * i + 1) * inputs / (2 * outputs));
            add(1);
            end();
        }
    }

    private void widened(int inputs, int outputs, Contract.Kernel kernel) {
        bits = 22;
        double reach = kernel == Contract.Kernel.BOX ? 0.5 : kernel == Contract.Kernel.BILINEAR ? 1.0 : 2.0;
        double scale = (double) inputs / outputs;
        double stretch = Math.max(scale, 1.0);
        double support = reach * stretch;
        for (int i = 0; i < outputs; i++) {
            double center = (i + 0.5) * scale;
            int low = Math.max(0, (int) (center - support + 0.5));
            int high = Math.min(inputs, (int) (center + support + 0.5));
            double total = 0.0;
            for (int j = low; j < high; j++) {
                total += shape(kernel, (j - center + 0.5) * (1.0 / stretch));
            }
            begin(Math.min(low, inputs - 1));
            for (int j = low; j < high; j++) {
                double part = shape(kernel, (j - center + 0.5) * (1.0 / stretch)) / (total == 0.0 ? 1.0 : total);
                add((long) (part * 4194304.0 + (part >= 0 ? 0.5 : -0.5)));
            }
            end();
        }
    }

    private static double shape(Contract.Kernel kernel, double at) {
        if (kernel == Contract.Kernel.BOX) {
            return -0.5 < at && at <= 0.5 ? 1.0 : 0.0;
        }
        double x = Math.abs(at);
        if (kernel == Contract.Kernel.BILINEAR) {
            return x < 1.0 ? 1.0 - x : 0.0;
        }
        if (x < 1.0) {
            return (1.5 * x - 2.5) * x * x + 1.0;
        }
        return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 : 0.0;
    }

    private void area(long inputs, long outputs) {
        bits = 22;
        for (long i = 0; i < outputs; i++) {
            long low = i * inputs;
            long high = low + inputs;
            begin(low / outputs);
            for (long j = low / outputs; j * outputs < high; j++) {
                long covered = Math.min(high, (j + 1) * outputs) - Math.max(low, j * outputs);
                add((covered * 8388608L + inputs) / (2 * inputs));
            }
            end();
        }
    }

    private void plain(long inputs, long outputs, Contract.Kernel kernel) {
        bits = 11;
        for (long i = 0; i < outputs; i++) {
            long unit = 2 * outputs;
            long position = (2 * i + 1) * inputs - outputs;
            long left = Math.floorDiv(position, unit);
            long t = ((position - left * unit) * 4096 + unit) / (2 * unit);
            addClamped(inputs, left, kernel == Contract.Kernel.BICUBIC ? cubic(t) : new long[] {0, 2048 - t, t, 0});
        }
    }

    /** Pixels beyond the edge are those of the edge, so their weights go there. */
    private void addClamped(long inputs, long left, long[] weight) {
        long low = clamp(left - 1, inputs);
        begin(low);
        for (long j = low; j <= clamp(left + 2, inputs); j++) {
            long sum = 0;
            for (int k = 0; k < weight.length; k++) {
                sum += clamp(left - 1 + k, inputs) == j ? weight[k] : 0;
            }
            add(sum);
        }
        end();
    }

    private static long clamp(long pixel, long inputs) {
        return Math.max(0, Math.min(pixel, inputs - 1));
    }

    private static long[] cubic(long t) {
        long before = outer(2048 + t);
        long behind = inner(2048 - t);
        long second = outer(4096 - t);
        return new long[] {before, 2048 - before - behind - second, behind, second};
    }

    private static long inner(long d) {
        return (5 * d * d * d - 18432 * d * d + 34359738368L + 8388608) >> 24;
    }

    private static long outer(long d) {
        return (-3 * d * d * d + 30720 * d * d - 100663296 * d + 103079215104L + 8388608) >> 24;
    }
}
