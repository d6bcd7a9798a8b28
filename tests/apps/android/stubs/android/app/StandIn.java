package android.app;

import android.content.BroadcastReceiver;
import android.content.ComponentCallbacks;
import android.content.ContentResolver;
import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.content.res.AssetManager;
import android.os.PowerManager;
import java.io.File;

/** Not of Android: a context over two folders, whose services a test can turn. */
public class StandIn extends Context {
    public final PowerManager power = new PowerManager();
    public final ActivityManager activities = new ActivityManager();
    public BroadcastReceiver receiver;
    public ComponentCallbacks callbacks;
    private final File assets;
    private final File home;

    public StandIn(File assets, File home) {
        this.assets = assets;
        this.home = home;
    }

    @Override
    public AssetManager getAssets() {
        return new AssetManager(assets);
    }

    @Override
    public File getNoBackupFilesDir() {
        return home;
    }

    @Override
    public File getExternalFilesDir(String type) {
        return home;
    }

    @Override
    public Context getApplicationContext() {
        return this;
    }

    @Override
    public ContentResolver getContentResolver() {
        return null;
    }

    @Override
    public <T> T getSystemService(Class<T> service) {
        return service.cast(service == PowerManager.class ? power : activities);
    }

    @Override
    public Intent registerReceiver(BroadcastReceiver receiver, IntentFilter filter) {
        this.receiver = receiver;
        return battery(80, 2);
    }

    @Override
    public void unregisterReceiver(BroadcastReceiver receiver) {
        this.receiver = null;
    }

    @Override
    public void registerComponentCallbacks(ComponentCallbacks callback) {
        callbacks = callback;
    }

    @Override
    public void unregisterComponentCallbacks(ComponentCallbacks callback) {
        callbacks = null;
    }

    public static Intent battery(int percent, int status) {
        return new Intent(Intent.ACTION_BATTERY_CHANGED)
                .putExtra("level", percent)
                .putExtra("scale", 100)
                .putExtra("status", status)
                .putExtra("temperature", 315);
    }
}
