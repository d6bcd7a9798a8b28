package android.app;

import android.content.Intent;
import android.os.Bundle;
import android.view.View;

public class Activity extends StandIn {
    public Activity() {
        super(null, null);
    }

    protected void onCreate(Bundle savedInstanceState) {}

    protected void onDestroy() {}

    protected void onActivityResult(int requestCode, int resultCode, Intent data) {}

    public void setContentView(View view) {}

    public void startActivityForResult(Intent intent, int requestCode) {}

    public Intent getIntent() {
        return new Intent("");
    }

    public void finish() {}
}
