package pocketfit;

import java.nio.ByteBuffer;

/** Gives any row of an image as it stands upright, as red, green and blue. */
final class UprightRows {
    /** CY, RV, GU, GV and BU of docs/preprocessing.md, by matrix and range. */
    private static final int[][] FACTORS = {
            {76309, 104597, 25675, 53279, 132201},
            {65536, 91881, 22553, 46802, 116130},
            {76309, 117489, 13975, 34925, 138438},
            {65536, 103206, 12276, 30679, 121609},
    };

    int height;
    int width;

    private final Contract contract;
    private Image image;
    private boolean swapped;
    private boolean rowsReversed;
    private boolean columnsReversed;

    UprightRows(Contract contract) {
        this.contract = contract;
    }

    /** Turns to another image, and checks that its planes are as long as it says. */
    void open(Image next, int orientation) {
        int turn = contract.orientation != 0 ? contract.orientation : orientation;
        if (turn < 1 || turn > 8) {
            throw new PocketfitException("the orientation is " + turn + "; EXIF knows 1 to 8");
        }
        image = next;
        swapped = turn >= 5;
        rowsReversed = turn == 3 || turn == 4 || turn == 7 || turn == 8;
        columnsReversed = turn == 2 || turn == 3 || turn == 6 || turn == 7;
        height = swapped ? next.width : next.height;
        width = swapped ? next.height : next.width;
        checkPlanes();
    }

    private void checkPlanes() {
        if (image.height < 1 || image.width < 1) {
            throw new PocketfitException("the image is empty");
        }
        int last = contract.isYuv() || contract.input == Contract.Format.GRAY ? 0 : 2;
        check(image.y, image.height, image.width, image.rowStride, image.pixelStride, last);
        if (contract.isYuv()) {
            int high = (image.height + 1) / 2;
            int wide = (image.width + 1) / 2;
            check(image.u, high, wide, image.chromaRowStride, image.chromaPixelStride, 0);
            check(image.v, high, wide, image.chromaRowStride, image.chromaPixelStride, 0);
        }
    }

    private static void check(ByteBuffer plane, int high, int wide, int rowStride, int pixelStride, int lastChannel) {
        long needed = (long) (high - 1) * rowStride + (long) (wide - 1) * pixelStride + lastChannel + 1;
        if (plane == null || plane.limit() < needed) {
            throw new PocketfitException("a plane has " + (plane == null ? 0 : plane.limit())
                    + " bytes; its size and strides need " + needed + ". Check the size, the strides and the format");
        }
    }

    /** Writes the columns from {@code begin} to below {@code end}, three numbers each. */
    void read(int row, int begin, int end, int[] rgb) {
        int across = rowsReversed ? height - 1 - row : row;
        int along = columnsReversed ? width - 1 - begin : begin;
        int step = columnsReversed ? -1 : 1;
        if (contract.isYuv()) {
            readYuv(across, along, step, end - begin, rgb);
        } else {
            readPixels(across, along, step, end - begin, rgb);
        }
    }

    private void readPixels(int across, int along, int step, int count, int[] rgb) {
        ByteBuffer data = image.y;
        int y = swapped ? along : across;
        int x = swapped ? across : along;
        int at = y * image.rowStride + x * image.pixelStride;
        int next = step * (swapped ? image.rowStride : image.pixelStride);
        int channel = contract.input == Contract.Format.GRAY ? 0 : 1;
        for (int i = 0, out = 0; i < count; i++, at += next, out += 3) {
            rgb[out] = data.get(at) & 255;
            rgb[out + 1] = data.get(at + channel) & 255;
            rgb[out + 2] = data.get(at + 2 * channel) & 255;
        }
    }

    private void readYuv(int across, int start, int step, int count, int[] rgb) {
        int[] factors = FACTORS[2 * contract.matrix.ordinal() + contract.range.ordinal()];
        int black = contract.range == Contract.Range.LIMITED ? 16 : 0;
        int cy = factors[0];
        int rv = factors[1];
        int gu = factors[2];
        int gv = factors[3];
        int bu = factors[4];
        ByteBuffer lumas = image.y;
        ByteBuffer us = image.u;
        ByteBuffer vs = image.v;
        int rowStride = image.rowStride;
        int pixelStride = image.pixelStride;
        int chromaRowStride = image.chromaRowStride;
        int chromaPixelStride = image.chromaPixelStride;
        for (int i = 0, along = start, out = 0; i < count; i++, along += step, out += 3) {
            int y = swapped ? along : across;
            int x = swapped ? across : along;
            int chroma = (y >> 1) * chromaRowStride + (x >> 1) * chromaPixelStride;
            int u = (us.get(chroma) & 255) - 128;
            int v = (vs.get(chroma) & 255) - 128;
            int luma = ((lumas.get(y * rowStride + x * pixelStride) & 255) - black) * cy + 32768;
            rgb[out] = clip((luma + rv * v) >> 16);
            rgb[out + 1] = clip((luma - gu * u - gv * v) >> 16);
            rgb[out + 2] = clip((luma + bu * u) >> 16);
        }
    }

    static int clip(int value) {
        return Math.min(Math.max(value, 0), 255);
    }
}
