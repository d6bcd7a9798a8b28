package pocketfit;

/** The model's number for each of the 256 pixel values, channel by channel. */
public final class PixelTable {
    private PixelTable() {}

    /** Channels x 256, before a quantization. */
    public static float[] floats(Contract contract) {
        float[] table = new float[contract.channels() * 256];
        for (int i = 0; i < table.length; i++) {
            float scaled = (float) (i & 255) * (float) contract.scale;
            table[i] = (scaled - of(contract.mean, i >> 8)) / of(contract.std, i >> 8);
        }
        return table;
    }

    /** Channels x 256, quantized: the bits of an int8 or uint8. */
    public static byte[] bytes(Contract contract) {
        float[] values = floats(contract);
        byte[] table = new byte[values.length];
        for (int i = 0; i < table.length; i++) {
            table[i] = (byte) contract.quantization.quantize(values[i], contract.dtype);
        }
        return table;
    }

    private static float of(double[] values, int channel) {
        return (float) values[values.length == 1 ? 0 : channel];
    }
}
