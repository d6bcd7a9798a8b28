package org.tensorflow.lite.nnapi;

import org.tensorflow.lite.Delegate;

/** Is there, and fails when the model first runs. */
public class NnApiDelegate implements Delegate {
    @Override
    public long getNativeHandle() {
        return 1;
    }
}
