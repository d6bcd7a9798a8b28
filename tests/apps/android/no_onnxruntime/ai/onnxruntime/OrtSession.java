package ai.onnxruntime;

import java.util.Map;

public class OrtSession implements AutoCloseable {
    public static class Result implements AutoCloseable {
        @Override
        public void close() {}
    }

    public static class SessionOptions implements AutoCloseable {
        public void setInterOpNumThreads(int threads) throws OrtException {}

        public void setIntraOpNumThreads(int threads) throws OrtException {}

        public void addNnapi() throws OrtException {}

        public void addXnnpack(Map<String, String> options) throws OrtException {}

        @Override
        public void close() {}
    }

    public Result run(Map<String, ? extends OnnxTensorLike> inputs, Map<String, ? extends OnnxValue> outputs)
            throws OrtException {
        throw new OrtException();
    }

    @Override
    public void close() throws OrtException {}
}
