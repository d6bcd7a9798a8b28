package android.content;

import android.net.Uri;
import java.util.HashMap;
import java.util.Map;

public class Intent {
    public static final String ACTION_BATTERY_CHANGED = "android.intent.action.BATTERY_CHANGED";
    public static final String ACTION_GET_CONTENT = "android.intent.action.GET_CONTENT";
    public static final String CATEGORY_OPENABLE = "android.intent.category.OPENABLE";

    private final Map<String, Object> extras = new HashMap<>();

    public Intent(String action) {}

    public Intent setType(String type) {
        return this;
    }

    public Intent addCategory(String category) {
        return this;
    }

    public Intent putExtra(String name, int value) {
        extras.put(name, value);
        return this;
    }

    public Intent putExtra(String name, String value) {
        extras.put(name, value);
        return this;
    }

    public int getIntExtra(String name, int otherwise) {
        return (Integer) extras.getOrDefault(name, otherwise);
    }

    public String getStringExtra(String name) {
        return (String) extras.get(name);
    }

    public Uri getData() {
        return null;
    }
}
