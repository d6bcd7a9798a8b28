package pocketfit;

/** Where an image comes to lie in the model's input; sizes and offsets in pixels. */
public final class Placement {
    /** Of the image, turned upright. */
    public final int imageHeight;
    public final int imageWidth;
    /** Of the image after the resize. */
    public int resizedHeight;
    public int resizedWidth;
    /** Of the model's input. */
    public int height;
    public int width;
    /** Of the resized image's corner from the input's: negative after a crop, positive in a letterbox. */
    public int top;
    public int left;

    public Placement(int imageHeight, int imageWidth, Contract contract) {
        this.imageHeight = imageHeight;
        this.imageWidth = imageWidth;
        resize(contract);
        if (contract.cropped) {
            crop(contract);
        }
    }

    /** A quotient of whole numbers above 0, rounded. */
    public static int divide(long numerator, long denominator, Contract.Rounding rounding) {
        long quotient = numerator / denominator;
        long rest = numerator % denominator;
        if (rounding == Contract.Rounding.HALF_EVEN && 2 * rest >= denominator) {
            quotient += 2 * rest > denominator ? 1 : quotient % 2;
        }
        return (int) quotient;
    }

    private void resize(Contract contract) {
        switch (contract.resize) {
            case NONE:
                resizeTo(imageHeight, imageWidth);
                break;
            case EXACT:
                resizeTo(contract.resizeHeight, contract.resizeWidth);
                break;
            case SHORTER_SIDE:
                resizeShorterSide(contract.resizePixels, contract.longer);
                break;
            default:
                letterbox(contract);
        }
    }

    private void resizeTo(int newHeight, int newWidth) {
        resizedHeight = newHeight;
        resizedWidth = newWidth;
        height = newHeight;
        width = newWidth;
    }

    private void resizeShorterSide(int pixels, Contract.Rounding longer) {
        if (imageWidth <= imageHeight) {
            resizeTo(Math.max(pixels, divide((long) imageHeight * pixels, imageWidth, longer)), pixels);
        } else {
            resizeTo(pixels, Math.max(pixels, divide((long) imageWidth * pixels, imageHeight, longer)));
        }
    }

    /** The image touches two sides of the box; the width fills it where both fit. */
    private void letterbox(Contract contract) {
        int high = contract.resizeHeight;
        int wide = contract.resizeWidth;
        if ((long) wide * imageHeight <= (long) high * imageWidth) {
            high = Math.max(1, divide((long) imageHeight * wide, imageWidth, contract.longer));
        } else {
            wide = Math.max(1, divide((long) imageWidth * high, imageHeight, contract.longer));
        }
        resizeTo(high, wide);
        height = contract.resizeHeight;
        width = contract.resizeWidth;
        if (contract.align == Contract.Align.CENTER) {
            top = (height - high) / 2;
            left = (width - wide) / 2;
        }
    }

    private void crop(Contract contract) {
        if (height < contract.cropHeight || width < contract.cropWidth) {
            throw new PocketfitException("the image is smaller than the crop; give a larger one");
        }
        top -= divide(height - contract.cropHeight, 2, contract.cropOffset);
        left -= divide(width - contract.cropWidth, 2, contract.cropOffset);
        height = contract.cropHeight;
        width = contract.cropWidth;
    }
}
