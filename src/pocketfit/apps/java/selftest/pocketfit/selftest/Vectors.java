package pocketfit.selftest;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import pocketfit.Contract;
import pocketfit.Image;
import pocketfit.Json;
import pocketfit.Placement;
import pocketfit.Postprocessor;

/** Test vectors as Pocketfit writes them, and comparisons with them. */
final class Vectors {
    private Vectors() {}

    /** The noise that docs/preprocessing.md defines. */
    static byte[] noise(Json told) {
        byte[] bytes = new byte[volume(told.at("shape"))];
        int state = (int) told.at("seed").integer();
        for (int i = 0; i < bytes.length; i++) {
            state = 1664525 * state + 1013904223;
            bytes[i] = (byte) (state >>> 24);
        }
        return bytes;
    }

    static byte[] bytes(Json array) {
        return Base64.getDecoder().decode(array.at("data").string());
    }

    static float[] floats(Json array) {
        float[] values = new float[volume(array.at("shape"))];
        ByteBuffer.wrap(bytes(array)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
        return values;
    }

    static int volume(Json shape) {
        int count = 1;
        for (Json side : shape.items()) {
            count *= side.small();
        }
        return count;
    }

    static Image image(byte[] bytes, int height, int width, int stride, Contract.Format format) {
        ByteBuffer data = ByteBuffer.wrap(bytes);
        boolean yuv = format.compareTo(Contract.Format.NV21) >= 0;
        return yuv ? Image.yuv(data, height, width, format, stride) : Image.pixels(data, height, width, format);
    }

    /** The image of an array of pixels. */
    static Image image(Json array, Contract.Format format) {
        List<Json> shape = array.at("shape").items();
        return image(bytes(array), shape.get(0).small(), shape.get(1).small(), 0, format);
    }

    static Placement placement(Json size, Contract contract) {
        return new Placement(size.items().get(0).small(), size.items().get(1).small(), contract);
    }

    static boolean same(ByteBuffer tensor, Json expected) {
        byte[] found = new byte[tensor.capacity()];
        tensor.duplicate().get(found);
        return Arrays.equals(found, bytes(expected));
    }

    static boolean near(double one, double other) {
        return Math.abs(one - other) <= 2e-6 * Math.max(1.0, Math.abs(one));
    }

    static boolean sameAnswers(Postprocessor found, Json expected) {
        boolean same = found.count == expected.items().size();
        for (int i = 0; same && i < found.count; i++) {
            Json one = expected.items().get(i);
            same = found.index[i] == one.at("index").integer() && near(found.score[i], one.at("score").number())
                    && found.contract().label(found.index[i]).equals(one.at("label").string());
            for (int side = 0; same && one.has("box") && side < 4; side++) {
                same = near(found.box[4 * i + side], one.at("box").items().get(side).number());
            }
        }
        return same;
    }

    /** Runs what the contract says on a model's outputs and compares. */
    static boolean sameAnswer(Contract contract, float[] first, float[] second, Json image, Json expected) {
        Postprocessor postprocessor = new Postprocessor(contract);
        if (contract.output == Contract.Output.EMBEDDING) {
            return sameVector(postprocessor.embedding(first), expected);
        }
        if (contract.output == Contract.Output.CLASSES) {
            postprocessor.classes(first);
        } else {
            postprocessor.boxes(first, second, second.length / (first.length / 4), placement(image, contract));
        }
        return sameAnswers(postprocessor, expected);
    }

    private static boolean sameVector(float[] found, Json expected) {
        boolean raw = !expected.isArray();
        float[] values = raw ? floats(expected) : new float[expected.items().size()];
        for (int i = 0; !raw && i < values.length; i++) {
            values[i] = (float) expected.items().get(i).number();
        }
        boolean same = found.length == values.length;
        for (int i = 0; same && i < found.length; i++) {
            same = near(found[i], values[i]);
        }
        return same;
    }
}
