package pocketfit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * From an image to the model's input, in buffers that are kept from frame to frame. One for each thread.
 *
 * <p>Memory is taken for the first image of a size, and for no other of that size.
 */
public final class Preprocessor {
    private final Contract contract;
    private final UprightRows source;
    private final float[] floatTable;
    private final byte[] byteTable;
    private Placement where;
    private Taps rows;
    private Taps columns;
    private boolean late;
    private Visible shownRows;
    private Visible shownColumns;
    private int[] line;
    private int[] across;
    private int[] sums;
    private byte[] canvas;
    private ByteBuffer tensor;
    private FloatBuffer floats;

    public Preprocessor(Contract contract) {
        this.contract = contract;
        source = new UprightRows(contract);
        floatTable = isFloat() ? PixelTable.floats(contract) : null;
        byteTable = isFloat() ? null : PixelTable.bytes(contract);
    }

    /**
     * Fills the model's input.
     *
     * @param orientation that comes with the image, 1 to 8 as EXIF counts
     * @return the input in the contract's dtype and layout, with a batch of 1: direct, in the processor's order of
     *         bytes,
     *     the same buffer for as long as images of one size come
     */
    public ByteBuffer run(Image image, int orientation) {
        source.open(image, orientation);
        fit(source.height, source.width);
        resizeColumns();
        resizeRows();
        for (int channel = 0; channel < contract.channels(); channel++) {
            arrange(channel);
        }
        return tensor;
    }

    /** Red, green and blue as they were before the arithmetic: height x width x 3. */
    public byte[] pixels() {
        return canvas;
    }

    public Placement placement() {
        return where;
    }

    public Contract contract() {
        return contract;
    }

    /** The resized pixels that lie inside of the input along one axis, and the image's pixels that they read. */
    private static final class Visible {
        final int begin;
        final int end;
        final int at;
        final int readBegin;
        final int readEnd;

        Visible(int offset, int resized, int size, Taps taps) {
            begin = Math.max(0, -offset);
            end = Math.max(begin, Math.min(resized, size - offset));
            at = Math.max(0, offset);
            int low = begin < end ? taps.first[begin] : 0;
            int high = 0;
            for (int i = begin; i < end; i++) {
                low = Math.min(low, taps.first[i]);
                high = Math.max(high, taps.first[i] + taps.count(i));
            }
            readBegin = low;
            readEnd = Math.max(low, high);
        }

        int count() {
            return end - begin;
        }

        int read() {
            return readEnd - readBegin;
        }
    }

    private boolean isFloat() {
        return contract.dtype == Contract.Dtype.FLOAT32;
    }

    private void fit(int height, int width) {
        if (where != null && where.imageHeight == height && where.imageWidth == width) {
            return;
        }
        Placement next = new Placement(height, width, contract);
        boolean same = next.resizedHeight == height && next.resizedWidth == width;
        Contract.Kernel kernel = same ? Contract.Kernel.NEAREST : contract.kernel;
        late = !Taps.roundsBetween(kernel, contract.antialias);
        rows = new Taps(height, next.resizedHeight, kernel, contract.antialias);
        columns = new Taps(width, next.resizedWidth, kernel, contract.antialias);
        shownRows = new Visible(next.top, next.resizedHeight, next.height, rows);
        shownColumns = new Visible(next.left, next.resizedWidth, next.width, columns);
        where = next;
        makeBuffers();
    }

    private void makeBuffers() {
        int area = where.height * where.width;
        int span = shownColumns.count() * 3;
        line = new int[shownColumns.read() * 3];
        across = new int[shownRows.read() * span];
        sums = new int[span];
        canvas = new byte[area * 3];
        for (int i = 0; i < canvas.length && contract.resize == Contract.Resize.LETTERBOX; i++) {
            canvas[i] = (byte) contract.fill[i % 3];
        }
        int bytes = area * contract.channels() * (isFloat() ? 4 : 1);
        tensor = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
        floats = isFloat() ? tensor.asFloatBuffer() : null;
    }

    private void resizeColumns() {
        int span = shownColumns.count() * 3;
        int half = (1 << columns.bits) >> 1;
        for (int row = shownRows.readBegin, out = 0; row < shownRows.readEnd; row++, out += span) {
            source.read(row, shownColumns.readBegin, shownColumns.readEnd, line);
            weighLine(out);
            if (!late) {
                for (int i = out; i < out + span; i++) {
                    across[i] = UprightRows.clip((across[i] + half) >> columns.bits);
                }
            }
        }
    }

    private void weighLine(int begin) {
        int[] pixels = line;
        int[] weights = columns.weights;
        int[] found = across;
        int out = begin;
        for (int column = shownColumns.begin; column < shownColumns.end; column++, out += 3) {
            int at = (columns.first[column] - shownColumns.readBegin) * 3;
            int red = 0;
            int green = 0;
            int blue = 0;
            for (int k = columns.start[column]; k < columns.start[column + 1]; k++, at += 3) {
                int weight = weights[k];
                red += pixels[at] * weight;
                green += pixels[at + 1] * weight;
                blue += pixels[at + 2] * weight;
            }
            found[out] = red;
            found[out + 1] = green;
            found[out + 2] = blue;
        }
    }

    private void resizeRows() {
        int bits = rows.bits + (late ? columns.bits : 0);
        int half = (1 << bits) >> 1;
        for (int row = shownRows.begin; row < shownRows.end; row++) {
            addLines(row);
            int out = ((shownRows.at + row - shownRows.begin) * where.width + shownColumns.at) * 3;
            for (int i = 0; i < sums.length; i++) {
                canvas[out + i] = (byte) UprightRows.clip((sums[i] + half) >> bits);
            }
        }
    }

    private void addLines(int row) {
        int[] values = across;
        int[] total = sums;
        Arrays.fill(total, 0);
        int at = (rows.first[row] - shownRows.readBegin) * total.length;
        for (int k = rows.start[row]; k < rows.start[row + 1]; k++, at += total.length) {
            int weight = rows.weights[k];
            for (int i = 0; i < total.length; i++) {
                total[i] += values[at + i] * weight;
            }
        }
    }

    private void arrange(int channel) {
        int area = canvas.length / 3;
        boolean planes = contract.layout == Contract.Layout.NCHW;
        int at = planes ? channel * area : channel;
        int step = planes ? 1 : contract.channels();
        boolean gray = contract.color == Contract.Color.GRAY;
        int pixel = contract.color == Contract.Color.BGR ? 2 - channel : channel;
        for (int i = 0; i < area; i++, at += step, pixel += 3) {
            int entry = channel * 256 + (gray ? luma(pixel) : canvas[pixel] & 255);
            if (floats != null) {
                floats.put(at, floatTable[entry]);
            } else {
                tensor.put(at, byteTable[entry]);
            }
        }
    }

    private int luma(int at) {
        int red = canvas[at] & 255;
        int green = canvas[at + 1] & 255;
        int blue = canvas[at + 2] & 255;
        return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
    }
}
