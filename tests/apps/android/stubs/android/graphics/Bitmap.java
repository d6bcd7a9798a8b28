package android.graphics;

import java.nio.Buffer;
import java.nio.ByteBuffer;

public final class Bitmap {
    public enum Config { ALPHA_8, ARGB_8888 }

    private final int width;
    private final int height;
    private final byte[] rgba;
    private final Config config;

    public Bitmap(int width, int height, byte[] rgba, Config config) {
        this.width = width;
        this.height = height;
        this.rgba = rgba;
        this.config = config;
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return height;
    }

    public Config getConfig() {
        return config;
    }

    public int getRowBytes() {
        return rgba.length / height;
    }

    public int getByteCount() {
        return rgba.length;
    }

    public void copyPixelsToBuffer(Buffer buffer) {
        ((ByteBuffer) buffer).put(rgba);
    }
}
