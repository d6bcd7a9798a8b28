package org.tensorflow.lite.gpu;

import org.tensorflow.lite.Delegate;

/** Fails as on a phone whose driver lacks OpenCL. */
public class GpuDelegate implements Delegate {
    public GpuDelegate() {
        throw new IllegalArgumentException("no OpenCL here");
    }

    @Override
    public long getNativeHandle() {
        return 0;
    }
}
