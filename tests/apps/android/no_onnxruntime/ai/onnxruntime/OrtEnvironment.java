package ai.onnxruntime;

public final class OrtEnvironment {
    public static OrtEnvironment getEnvironment() {
        return new OrtEnvironment();
    }

    public OrtSession createSession(String path, OrtSession.SessionOptions options) throws OrtException {
        throw new OrtException();
    }

    public OrtSession createSession(byte[] model, OrtSession.SessionOptions options) throws OrtException {
        throw new OrtException();
    }
}
