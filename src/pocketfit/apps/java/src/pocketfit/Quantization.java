package pocketfit;

/** Between floats and the integers of a model's inputs and outputs. */
public final class Quantization {
    public final double scale;
    public final int zeroPoint;

    public Quantization(double scale, int zeroPoint) {
        this.scale = scale;
        this.zeroPoint = zeroPoint;
    }

    /** clip(rint(x / scale) + zero point), halves to the even integer, the division in float32. */
    public int quantize(float value, Contract.Dtype dtype) {
        double steps = Math.rint(value / (float) scale) + zeroPoint;
        boolean sign = dtype == Contract.Dtype.INT8;
        return (int) Math.min(Math.max(steps, sign ? -128.0 : 0.0), sign ? 127.0 : 255.0);
    }

    /** (q - zero point) * scale in float32. */
    public float dequantize(int value) {
        return (float) (value - zeroPoint) * (float) scale;
    }
}
