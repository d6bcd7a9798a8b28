package android.os;

import java.util.concurrent.Executor;

public final class PowerManager {
    public interface OnThermalStatusChangedListener {
        void onThermalStatusChanged(int status);
    }

    public int status;
    public float headroom = 0.5f;
    public boolean saving;
    private OnThermalStatusChangedListener listener;
    private Executor executor;

    public boolean isPowerSaveMode() {
        return saving;
    }

    public int getCurrentThermalStatus() {
        Build.since(29);
        return status;
    }

    public float getThermalHeadroom(int forecastSeconds) {
        Build.since(30);
        return headroom;
    }

    public void addThermalStatusListener(Executor executor, OnThermalStatusChangedListener listener) {
        Build.since(29);
        this.executor = executor;
        this.listener = listener;
    }

    public void removeThermalStatusListener(OnThermalStatusChangedListener listener) {
        Build.since(29);
        if (this.listener != listener) {
            throw new IllegalArgumentException("that one was not added");
        }
        this.listener = null;
    }

    public void become(int status) {
        this.status = status;
        executor.execute(() -> listener.onThermalStatusChanged(status));
    }
}
