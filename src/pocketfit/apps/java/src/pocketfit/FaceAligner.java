package pocketfit;

/** A face brought to where a model expects its eyes, nose and mouth. One for each thread; it keeps its picture. */
public final class FaceAligner {
    public static final int SIDE = 112;

    /**
     * Left eye, right eye, tip of the nose, left and right corner of the mouth, as seen: x and y of each.
     *
     * <p>Source: Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition".
     */
    private static final double[] ARCFACE = {
            38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041};

    private final byte[] pixels = new byte[SIDE * SIDE * 3];
    /** From the template to the picture: x' = a x - b y + shiftX, y' = b x + a y + shiftY. */
    private double a;
    private double b;
    private double shiftX;
    private double shiftY;

    /**
     * Cuts the face out: 112 x 112 x 3, valid until the next call. What lies outside of the picture is black.
     *
     * @param image upright RGB pixels, height x width x 3
     * @param points x and y of each landmark, ten numbers; the middle of the first pixel is (0, 0)
     */
    public byte[] align(byte[] image, int height, int width, double[] points) {
        place(points);
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                blend(image, height, width, a * x - b * y + shiftX, b * x + a * y + shiftY, (y * SIDE + x) * 3);
            }
        }
        return pixels;
    }

    /** The inverse of Umeyama's transformation (1991), which in the plane is a quotient of sums. */
    private void place(double[] points) {
        if (points.length != ARCFACE.length) {
            throw new PocketfitException("there are " + points.length + " numbers, not x and y of five landmarks");
        }
        double startX = mean(points, 0);
        double startY = mean(points, 1);
        double endX = mean(ARCFACE, 0);
        double endY = mean(ARCFACE, 1);
        double real = 0;
        double imaginary = 0;
        double spread = 0;
        for (int i = 0; i < points.length; i += 2) {
            double px = points[i] - startX;
            double py = points[i + 1] - startY;
            double qx = ARCFACE[i] - endX;
            double qy = ARCFACE[i + 1] - endY;
            real += px * qx + py * qy;
            imaginary += px * qy - py * qx;
            spread += px * px + py * py;
        }
        double size = (real * real + imaginary * imaginary) / spread;
        if (!(spread > 0) || Double.isInfinite(size) || !(size > 0)) {
            throw new PocketfitException("the landmarks are the same or not finite");
        }
        a = real / size;
        b = -imaginary / size;
        shiftX = startX - (a * endX - b * endY);
        shiftY = startY - (b * endX + a * endY);
    }

    private static double mean(double[] points, int axis) {
        double sum = 0;
        for (int i = axis; i < points.length; i += 2) {
            sum += points[i] / 5;
        }
        return sum;
    }

    private void blend(byte[] image, int height, int width, double x, double y, int to) {
        double left = Math.floor(x);
        double top = Math.floor(y);
        double right = x - left;
        double below = y - top;
        for (int channel = 0; channel < 3; channel++) {
            double upper = at(image, height, width, top, left, channel) * (1 - right)
                    + at(image, height, width, top, left + 1, channel) * right;
            double lower = at(image, height, width, top + 1, left, channel) * (1 - right)
                    + at(image, height, width, top + 1, left + 1, channel) * right;
            pixels[to + channel] = (byte) (int) Math.floor(upper * (1 - below) + lower * below + 0.5);
        }
    }

    private static double at(byte[] image, int height, int width, double row, double column, int channel) {
        boolean inside = column >= 0 && column < width && row >= 0 && row < height;
        return inside ? image[((int) row * width + (int) column) * 3 + channel] & 255 : 0;
    }
}
