package pocketfit;

import java.util.Arrays;

/**
 * All that is known at one frame; a number below 0 or beyond its range is unknown, and so is a scene of null.
 *
 * <p>Make one and set its fields for each frame.
 */
public final class Reading {
    /** What a policy can look at, by the name it has there in lower case. */
    public enum Sensor {
        BATTERY_PERCENT(100),
        CHARGING(1),
        THERMAL_STATUS(6),
        HEADROOM_PERMILLE(10_000),
        MEMORY_PRESSURE(3),
        LOW_POWER(1),
        FRAME_US(Integer.MAX_VALUE),
        SCENE(0);

        final long largest;

        Sensor(long largest) {
            this.largest = largest;
        }
    }

    public static final long UNKNOWN = -1;

    public long timeMs;
    public String scene;
    public int inFlight;
    public boolean ready = true;
    private final long[] values = new long[Sensor.values().length];

    public Reading() {
        Arrays.fill(values, UNKNOWN);
    }

    /** Sets a number; yes is 1, no is 0. */
    public void set(Sensor sensor, long value) {
        values[sensor.ordinal()] = value;
    }

    boolean knows(Sensor sensor) {
        long value = values[sensor.ordinal()];
        return value >= 0 && value <= sensor.largest;
    }

    long value(Sensor sensor) {
        return values[sensor.ordinal()];
    }
}
