package android.content;

public interface ComponentCallbacks2 extends ComponentCallbacks {
    @Deprecated int TRIM_MEMORY_RUNNING_MODERATE = 5;
    @Deprecated int TRIM_MEMORY_RUNNING_LOW = 10;
    @Deprecated int TRIM_MEMORY_RUNNING_CRITICAL = 15;

    void onTrimMemory(int level);
}
