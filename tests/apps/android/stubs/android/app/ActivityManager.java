package android.app;

public class ActivityManager {
    public static class MemoryInfo {
        public boolean lowMemory;
    }

    public boolean low;

    public void getMemoryInfo(MemoryInfo told) {
        told.lowMemory = low;
    }
}
