package pocketfit;

/** From a model's outputs to answers, in buffers that are kept from frame to frame. One for each thread. */
public final class Postprocessor {
    private final Contract contract;
    /** Of an answer: its class. */
    public final int[] index;
    /** Of an answer: its score. */
    public final double[] score;
    /** Of an answer: left, top, right and bottom in pixels of the upright image. */
    public final double[] box;
    /** How many answers there are, the best first. */
    public int count;

    private int[] candidateIndex;
    private double[] candidateScore;
    private double[] candidateBox;
    private int[] order = {};
    private int candidates;
    private float[] vector = new float[0];

    public Postprocessor(Contract contract) {
        this.contract = contract;
        int most = contract.output == Contract.Output.BOXES ? contract.maxBoxes : contract.topK;
        index = new int[most];
        score = new double[most];
        box = new double[4 * most];
    }

    public Contract contract() {
        return contract;
    }

    /** Finds the best classes. */
    public void classes(float[] scores) {
        checkFinite(scores);
        count = 0;
        for (int i = 0; i < scores.length; i++) {
            insert(i, scores[i]);
        }
        if (!contract.softmax) {
            return;
        }
        double most = score[0];
        double total = 0;
        for (float one : scores) {
            total += Math.exp(one - most);
        }
        for (int i = 0; i < count; i++) {
            score[i] = Math.exp(score[i] - most) / total;
        }
    }

    /**
     * Finds the boxes to keep.
     *
     * @param boxes N x 4 as the model gives them
     * @param scores N x classes
     * @param where the image came to lie
     */
    public void boxes(float[] boxes, float[] scores, int classes, Placement where) {
        int given = boxes.length / 4;
        makeRoom(given);
        candidates = 0;
        for (int i = 0; i < given; i++) {
            bestClass(scores, i * classes, classes);
            if (candidateScore[candidates] >= contract.scoreThreshold) {
                corners(boxes, 4 * i, where);
                order[candidates] = candidates;
                candidates++;
            }
        }
        sort();
        keep();
        for (int i = 0; i < count; i++) {
            toImage(4 * i, where);
        }
    }

    /** The vector, of length 1 if the contract says so; valid until the next call. */
    public float[] embedding(float[] values) {
        checkFinite(values);
        double sum = 0;
        for (float value : values) {
            sum += (double) value * value;
        }
        double length = contract.normalise && sum > 0 ? Math.sqrt(sum) : 1.0;
        if (vector.length != values.length) {
            vector = new float[values.length];
        }
        for (int i = 0; i < values.length; i++) {
            vector[i] = (float) (values[i] / length);
        }
        return vector;
    }

    private static void checkFinite(float[] values) {
        boolean good = values.length > 0;
        for (float value : values) {
            good = good && !Float.isNaN(value) && !Float.isInfinite(value);
        }
        if (!good) {
            throw new PocketfitException(
                    "the output is empty or holds numbers that are not finite; check the model and its input");
        }
    }

    /** Into the best so far, behind those that are as good. */
    private void insert(int which, double value) {
        if (count == score.length && value <= score[count - 1]) {
            return;
        }
        int at = count < score.length ? count++ : count - 1;
        while (at > 0 && score[at - 1] < value) {
            score[at] = score[at - 1];
            index[at] = index[at - 1];
            at--;
        }
        score[at] = value;
        index[at] = which;
    }

    private void makeRoom(int given) {
        if (order.length < given) {
            candidateIndex = new int[given];
            candidateScore = new double[given];
            candidateBox = new double[4 * given];
            order = new int[given];
        }
    }

    private void bestClass(float[] scores, int begin, int classes) {
        double most = scores[begin];
        for (int i = begin; i < begin + classes; i++) {
            most = Math.max(most, scores[i]);
        }
        double total = 0;
        if (contract.activation == Contract.Activation.SOFTMAX) {
            for (int i = begin; i < begin + classes; i++) {
                total += Math.exp(scores[i] - most);
            }
        }
        candidateIndex[candidates] = 0;
        candidateScore[candidates] = activated(scores[begin], most, total);
        for (int i = 1; i < classes; i++) {
            double value = activated(scores[begin + i], most, total);
            if (value > candidateScore[candidates]) {
                candidateIndex[candidates] = i;
                candidateScore[candidates] = value;
            }
        }
    }

    private double activated(double value, double most, double total) {
        switch (contract.activation) {
            case SIGMOID:
                return 1.0 / (1.0 + Math.exp(-value));
            case SOFTMAX:
                return Math.exp(value - most) / total;
            default:
                return value;
        }
    }

    private void corners(float[] boxes, int from, Placement where) {
        int to = 4 * candidates;
        for (int axis = 0; axis < 2; axis++) {
            double low = boxes[from + axis];
            double high = boxes[from + 2 + axis];
            if (contract.boxFormat == Contract.BoxFormat.CXCYWH) {
                double center = low;
                double half = high / 2;
                low = center - half;
                high = center + half;
            }
            int size = !contract.normalised ? 1 : axis == 0 ? where.width : where.height;
            candidateBox[to + axis] = low * size;
            candidateBox[to + 2 + axis] = high * size;
        }
    }

    /** Best first, equal ones by their index: a heap sort, which needs no memory. */
    private void sort() {
        for (int root = candidates / 2 - 1; root >= 0; root--) {
            sink(root, candidates);
        }
        for (int end = candidates - 1; end > 0; end--) {
            int last = order[0];
            order[0] = order[end];
            order[end] = last;
            sink(0, end);
        }
    }

    /** The worst of a heap is at its root. */
    private void sink(int from, int end) {
        int root = from;
        for (int child = 2 * root + 1; child < end; child = 2 * root + 1) {
            if (child + 1 < end && before(order[child], order[child + 1])) {
                child++;
            }
            if (!before(order[root], order[child])) {
                return;
            }
            int moved = order[root];
            order[root] = order[child];
            order[child] = moved;
            root = child;
        }
    }

    private boolean before(int one, int other) {
        double a = candidateScore[one];
        double b = candidateScore[other];
        return a != b ? a > b : one < other;
    }

    private void keep() {
        count = 0;
        for (int i = 0; i < candidates && count < contract.maxBoxes; i++) {
            int candidate = order[i];
            if (hasRival(candidate)) {
                continue;
            }
            index[count] = candidateIndex[candidate];
            score[count] = candidateScore[candidate];
            System.arraycopy(candidateBox, 4 * candidate, box, 4 * count, 4);
            count++;
        }
    }

    private boolean hasRival(int candidate) {
        for (int kept = 0; kept < count; kept++) {
            boolean compete = !contract.classWise || index[kept] == candidateIndex[candidate];
            if (compete && overlap(4 * kept, 4 * candidate) > contract.iouThreshold) {
                return true;
            }
        }
        return false;
    }

    private double overlap(int kept, int candidate) {
        double shared =
                area(Math.max(box[kept], candidateBox[candidate]), Math.max(box[kept + 1], candidateBox[candidate + 1]),
                        Math.min(box[kept + 2], candidateBox[candidate + 2]),
                        Math.min(box[kept + 3], candidateBox[candidate + 3]));
        double both = area(box[kept], box[kept + 1], box[kept + 2], box[kept + 3])
                + area(candidateBox[candidate], candidateBox[candidate + 1], candidateBox[candidate + 2],
                        candidateBox[candidate + 3])
                - shared;
        return both > 0 ? shared / both : 0.0;
    }

    private static double area(double left, double top, double right, double bottom) {
        return Math.max(right - left, 0.0) * Math.max(bottom - top, 0.0);
    }

    private void toImage(int at, Placement where) {
        for (int side = at; side < at + 4; side += 2) {
            box[side] = moved(box[side], where.left, where.imageWidth, where.resizedWidth);
            box[side + 1] = moved(box[side + 1], where.top, where.imageHeight, where.resizedHeight);
        }
    }

    private static double moved(double side, int offset, int image, int resized) {
        return Math.min(Math.max((side - offset) * image / resized, 0.0), image);
    }
}
