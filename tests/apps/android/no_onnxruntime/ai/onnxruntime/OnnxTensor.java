package ai.onnxruntime;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

public class OnnxTensor extends OnnxTensorLike {
    public static OnnxTensor createTensor(OrtEnvironment environment, FloatBuffer data, long[] shape)
            throws OrtException {
        throw new OrtException();
    }

    public static OnnxTensor createTensor(OrtEnvironment environment, ByteBuffer data, long[] shape, OnnxJavaType type)
            throws OrtException {
        throw new OrtException();
    }
}
