package pocketfit;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What preprocess.json says; docs/preprocessing.md defines it. */
public final class Contract {
    public enum Format { RGB, RGBA, GRAY, NV21, NV12, I420 }

    public enum Matrix { BT601, BT709 }

    public enum Range { LIMITED, FULL }

    public enum Rounding { FLOOR, HALF_EVEN }

    public enum Resize { NONE, SHORTER_SIDE, EXACT, LETTERBOX }

    public enum Align { CENTER, TOP_LEFT }

    public enum Kernel { NEAREST, BILINEAR, BICUBIC, BOX, AREA }

    public enum Color { RGB, BGR, GRAY }

    public enum Layout { NCHW, NHWC }

    public enum Dtype { FLOAT32, UINT8, INT8 }

    public enum Output { NONE, CLASSES, BOXES, EMBEDDING }

    public enum BoxFormat { XYXY, CXCYWH }

    public enum Activation { NONE, SIGMOID, SOFTMAX }

    public Format input = Format.RGB;
    public Matrix matrix = Matrix.BT601;
    public Range range = Range.FULL;
    /** As EXIF counts; 0 applies the one that comes with the image. */
    public int orientation;
    public Resize resize = Resize.NONE;
    /** Of an exact resize and a letterbox. */
    public int resizeHeight;
    public int resizeWidth;
    /** Of the shorter side. */
    public int resizePixels;
    public Rounding longer = Rounding.HALF_EVEN;
    public int[] fill = {114, 114, 114};
    public Align align = Align.CENTER;
    public Kernel kernel = Kernel.BILINEAR;
    public boolean antialias = true;
    public boolean cropped;
    public int cropHeight;
    public int cropWidth;
    public Rounding cropOffset = Rounding.FLOOR;
    public Color color = Color.RGB;
    public double scale = 1.0 / 255;
    public double[] mean = {0};
    public double[] std = {1};
    public Layout layout = Layout.NCHW;
    public Dtype dtype = Dtype.FLOAT32;
    public Quantization quantization = new Quantization(1, 0);
    public Output output = Output.NONE;
    public boolean softmax = true;
    public int topK = 5;
    public boolean normalise = true;
    public BoxFormat boxFormat = BoxFormat.XYXY;
    public boolean normalised = true;
    public Activation activation = Activation.NONE;
    public double scoreThreshold = 0.25;
    public double iouThreshold = 0.45;
    public boolean classWise = true;
    public int maxBoxes = 100;
    public List<String> labels = new ArrayList<>();

    public boolean isYuv() {
        return input.compareTo(Format.NV21) >= 0;
    }

    public int channels() {
        return color == Color.GRAY ? 1 : 3;
    }

    /** Empty where the class has no name. */
    public String label(int index) {
        return index < labels.size() ? labels.get(index) : "";
    }

    public static Contract fromJson(Json json) {
        if (json.has("version") && json.at("version").integer() != 1) {
            throw new PocketfitException(
                    "the contract has another version than 1; take the app code of the Pocketfit that wrote it");
        }
        Contract contract = new Contract();
        if (json.has("input")) {
            contract.readInput(json.at("input"));
        }
        if (json.has("resize")) {
            contract.readResize(json.at("resize"));
        }
        if (json.has("crop")) {
            contract.readCrop(json.at("crop"));
        }
        if (json.has("output")) {
            contract.readOutput(json.at("output"));
        }
        contract.readArithmetic(json);
        return contract;
    }

    /** Reads the format of the image, and the matrix and range of a camera's. */
    public void readInput(Json json) {
        input = word(json, "format", input);
        matrix = word(json, "matrix", matrix);
        range = word(json, "range", range);
    }

    private void readResize(Json json) {
        resize = word(json, "kind", resize);
        resizePixels = number(json, "pixels", resizePixels);
        longer = word(json, "longer", longer);
        align = word(json, "align", align);
        if (json.has("size")) {
            resizeHeight = json.at("size").items().get(0).small();
            resizeWidth = json.at("size").items().get(1).small();
        }
        if (json.has("fill")) {
            for (int i = 0; i < fill.length; i++) {
                fill[i] = json.at("fill").items().get(i).small();
            }
        }
    }

    private void readCrop(Json json) {
        cropped = true;
        cropHeight = json.at("size").items().get(0).small();
        cropWidth = json.at("size").items().get(1).small();
        cropOffset = word(json, "offset", cropOffset);
    }

    private void readArithmetic(Json json) {
        orientation = number(json, "orientation", orientation);
        kernel = word(json, "kernel", kernel);
        antialias = flag(json, "antialias", antialias);
        color = word(json, "color", color);
        scale = number(json, "scale", scale);
        mean = numbers(json, "mean", mean);
        std = numbers(json, "std", std);
        layout = word(json, "layout", layout);
        dtype = word(json, "dtype", dtype);
        if (json.has("quantization")) {
            Json given = json.at("quantization");
            quantization = new Quantization(given.at("scale").number(), number(given, "zero_point", 0));
        }
    }

    private void readOutput(Json json) {
        output = word(json, "kind", output);
        softmax = flag(json, "softmax", softmax);
        topK = number(json, "top_k", topK);
        normalise = flag(json, "normalise", normalise);
        boxFormat = word(json, "format", boxFormat);
        normalised = flag(json, "normalised", normalised);
        activation = word(json, "activation", activation);
        scoreThreshold = number(json, "score_threshold", scoreThreshold);
        iouThreshold = number(json, "iou_threshold", iouThreshold);
        classWise = flag(json, "class_wise", classWise);
        maxBoxes = number(json, "max_boxes", maxBoxes);
        if (json.has("labels")) {
            for (Json label : json.at("labels").items()) {
                labels.add(label.string());
            }
        }
    }

    static <E extends Enum<E>> E word(Json json, String key, E otherwise) {
        if (!json.has(key)) {
            return otherwise;
        }
        String given = json.at(key).string();
        try {
            return Enum.valueOf(otherwise.getDeclaringClass(), given.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException error) {
            throw new PocketfitException("the contract's " + key + " is " + given + ", which is not known");
        }
    }

    static boolean flag(Json json, String key, boolean otherwise) {
        return json.has(key) ? json.at(key).bool() : otherwise;
    }

    static int number(Json json, String key, int otherwise) {
        return json.has(key) ? json.at(key).small() : otherwise;
    }

    static double number(Json json, String key, double otherwise) {
        return json.has(key) ? json.at(key).number() : otherwise;
    }

    private static double[] numbers(Json json, String key, double[] otherwise) {
        if (!json.has(key)) {
            return otherwise;
        }
        List<Json> items = json.at(key).items();
        double[] values = new double[items.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = items.get(i).number();
        }
        return values;
    }
}
