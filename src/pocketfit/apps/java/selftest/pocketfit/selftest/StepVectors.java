package pocketfit.selftest;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import pocketfit.Contract;
import pocketfit.Image;
import pocketfit.Json;
import pocketfit.PixelTable;
import pocketfit.Placement;
import pocketfit.PocketfitException;
import pocketfit.Preprocessor;
import pocketfit.Quantization;

/** The files of {@code write_vectors}, one for each step of the contract. */
final class StepVectors {
    private StepVectors() {}

    static Suite replay(Json file) {
        Suite suite = new Suite(file.at("step").string());
        for (Json test : file.at("cases").items()) {
            suite.count(replay(suite.name, test), "case " + suite.total);
        }
        return suite;
    }

    private static boolean replay(String step, Json test) {
        switch (step) {
            case "yuv":
                return yuv(test);
            case "orientation":
                return samePixels(new Contract(), test, test.at("orientation").small());
            case "resize":
                return samePixels(resize(test), test, 1);
            case "geometry":
                return geometry(test);
            case "luma":
                return luma(test);
            case "tables":
                return table(test);
            case "quantization":
                return quantization(test);
            case "whole":
                return whole(test);
            case "answers":
                return answers(test);
            case "ed25519":
                return IntegrityVectors.ed25519(test);
            case "aes_gcm":
                return IntegrityVectors.aesGcm(test);
            default:
                throw new PocketfitException("the step " + step + " is not known");
        }
    }

    private static boolean yuv(Json test) {
        Contract contract = new Contract();
        contract.readInput(test);
        int stride = test.has("row_stride") ? test.at("row_stride").small() : 0;
        Image image = Vectors.image(Vectors.bytes(test.at("buffer")), test.at("height").small(),
                test.at("width").small(), stride, contract.input);
        Preprocessor preprocessor = new Preprocessor(contract);
        preprocessor.run(image, 1);
        return Arrays.equals(preprocessor.pixels(), Vectors.bytes(test.at("expected")));
    }

    private static boolean samePixels(Contract contract, Json test, int orientation) {
        Preprocessor preprocessor = new Preprocessor(contract);
        preprocessor.run(Vectors.image(test.at("image"), contract.input), orientation);
        return Arrays.equals(preprocessor.pixels(), Vectors.bytes(test.at("expected")));
    }

    private static Contract resize(Json test) {
        String size = test.at("size").items().get(0).small() + ", " + test.at("size").items().get(1).small();
        return Contract.fromJson(
                Json.parse("{\"resize\": {\"kind\": \"exact\", \"size\": [" + size + "]}, \"kernel\": \""
                        + test.at("kernel").string() + "\", \"antialias\": " + test.at("antialias").bool() + "}"));
    }

    private static boolean geometry(Json test) {
        Placement where = Vectors.placement(test.at("image"), Contract.fromJson(test.at("contract")));
        Json expected = test.at("expected");
        return same(expected.at("image"), where.imageHeight, where.imageWidth)
                && same(expected.at("resized"), where.resizedHeight, where.resizedWidth)
                && same(expected.at("size"), where.height, where.width)
                && same(expected.at("offset"), where.top, where.left);
    }

    private static boolean same(Json pair, int vertical, int horizontal) {
        List<Json> items = pair.items();
        return items.get(0).integer() == vertical && items.get(1).integer() == horizontal;
    }

    private static boolean luma(Json test) {
        Contract contract = Contract.fromJson(Json.parse(
                "{\"color\": \"gray\", \"scale\": 1, \"dtype\": \"uint8\", \"quantization\": {\"scale\": 1}}"));
        ByteBuffer tensor = new Preprocessor(contract).run(Vectors.image(test.at("image"), contract.input), 1);
        return Vectors.same(tensor, test.at("expected"));
    }

    private static boolean table(Json test) {
        Contract contract = Contract.fromJson(test.at("contract"));
        if (contract.dtype == Contract.Dtype.FLOAT32) {
            return sameFloats(PixelTable.floats(contract), test.at("expected"));
        }
        return Arrays.equals(PixelTable.bytes(contract), Vectors.bytes(test.at("expected")));
    }

    private static boolean sameFloats(float[] found, Json expected) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * found.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(found);
        return Arrays.equals(bytes.array(), Vectors.bytes(expected));
    }

    private static boolean quantization(Json test) {
        Contract.Dtype dtype = test.at("dtype").string().equals("int8") ? Contract.Dtype.INT8 : Contract.Dtype.UINT8;
        Quantization numbers = new Quantization(test.at("scale").number(), test.at("zero_point").small());
        float[] values = Vectors.floats(test.at("values"));
        byte[] integers = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            int integer = numbers.quantize(values[i], dtype);
            integers[i] = (byte) integer;
            values[i] = numbers.dequantize(integer);
        }
        return Arrays.equals(integers, Vectors.bytes(test.at("quantized")))
                && sameFloats(values, test.at("dequantized"));
    }

    private static boolean whole(Json test) {
        Contract contract = Contract.fromJson(test.at("contract"));
        Json told = test.at("image");
        Image image = !contract.isYuv() ? Vectors.image(told, contract.input)
                                        : Vectors.image(Vectors.bytes(told.at("buffer")), told.at("height").small(),
                                                  told.at("width").small(), 0, contract.input);
        return Vectors.same(new Preprocessor(contract).run(image, test.at("orientation").small()), test.at("expected"));
    }

    private static boolean answers(Json test) {
        Contract contract = Contract.fromJson(test.at("contract"));
        List<Json> outputs = test.at("outputs").items();
        float[] second = outputs.size() > 1 ? Vectors.floats(outputs.get(1)) : null;
        return Vectors.sameAnswer(
                contract, Vectors.floats(outputs.get(0)), second, test.at("image"), test.at("expected"));
    }
}
