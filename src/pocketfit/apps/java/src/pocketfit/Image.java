package pocketfit;

import java.nio.ByteBuffer;

/**
 * What an app has in memory. Decoded pixels are one plane, a camera image is three; the sample at (row, column) of a
 * plane lies at {@code row * rowStride + column * pixelStride} from the buffer's beginning.
 *
 * <p>Make one and set its fields for each frame.
 */
public final class Image {
    public int height;
    public int width;
    public ByteBuffer y;
    public int rowStride;
    public int pixelStride = 1;
    public ByteBuffer u;
    public ByteBuffer v;
    public int chromaRowStride;
    public int chromaPixelStride = 1;

    /** Pixels without padding: the format is RGB, RGBA (a Bitmap's ARGB_8888) or GRAY. */
    public static Image pixels(ByteBuffer data, int height, int width, Contract.Format format) {
        Image image = new Image();
        image.height = height;
        image.width = width;
        image.y = data;
        image.pixelStride = format == Contract.Format.GRAY ? 1 : format == Contract.Format.RGB ? 3 : 4;
        image.rowStride = width * image.pixelStride;
        return image;
    }

    /** Planes behind each other in one buffer; a row stride of 0 is that of rows without padding. */
    public static Image yuv(ByteBuffer data, int height, int width, Contract.Format format, int rowStride) {
        Image image = new Image();
        image.height = height;
        image.width = width;
        image.y = data;
        image.rowStride = rowStride == 0 ? width : rowStride;
        int half = (image.rowStride + 1) / 2;
        int area = image.rowStride * height;
        if (format == Contract.Format.I420) {
            image.chromaRowStride = half;
            image.u = from(data, area);
            image.v = from(data, area + half * ((height + 1) / 2));
            return image;
        }
        image.chromaRowStride = rowStride == 0 ? 2 * half : rowStride;
        image.chromaPixelStride = 2;
        boolean uFirst = format == Contract.Format.NV12;
        image.u = from(data, uFirst ? area : area + 1);
        image.v = from(data, uFirst ? area + 1 : area);
        return image;
    }

    private static ByteBuffer from(ByteBuffer data, int offset) {
        if (offset >= data.limit()) {
            throw new PocketfitException("the buffer is too short for its planes; check the size and the stride");
        }
        ByteBuffer whole = data.duplicate();
        whole.position(offset);
        return whole.slice();
    }
}
