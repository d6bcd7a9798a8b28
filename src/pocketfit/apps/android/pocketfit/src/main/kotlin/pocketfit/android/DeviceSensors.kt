package pocketfit.android

import android.app.ActivityManager
import android.content.BroadcastReceiver
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.content.res.Configuration
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.os.SystemClock
import java.io.Closeable
import pocketfit.Reading
import pocketfit.run.Condition
import pocketfit.run.Sensors

/**
 * Battery, heat and memory of the phone for a policy, as docs/policy.md says.
 *
 * Listeners bring changes; what has none is asked for once in a second, which is also the most that Android answers for
 * headroom. A frame reads numbers that are there, and allocates nothing.
 */
class DeviceSensors(
    private val context: Context,
) : Sensors,
    Closeable {
    private val power = context.getSystemService(PowerManager::class.java)
    private val activities = context.getSystemService(ActivityManager::class.java)
    private val memory = ActivityManager.MemoryInfo()

    @Volatile private var percent = Reading.UNKNOWN

    @Volatile private var charging = Reading.UNKNOWN

    @Volatile private var celsius = Double.NaN

    @Volatile private var thermal = Reading.UNKNOWN

    @Volatile private var trimmed = 0L

    @Volatile private var trimmedAt = 0L

    private var headroom = Reading.UNKNOWN
    private var saving = Reading.UNKNOWN
    private var scarce = false
    private var askedAt = Long.MIN_VALUE / 2

    private val battery =
        object : BroadcastReceiver() {
            override fun onReceive(
                context: Context,
                intent: Intent,
            ) = readBattery(intent)
        }

    private val memoryCallbacks =
        object : ComponentCallbacks2 {
            override fun onConfigurationChanged(newConfig: Configuration) = Unit

            @Deprecated("Declared so by Android")
            override fun onLowMemory() = readTrim(CRITICAL)

            override fun onTrimMemory(level: Int) = readTrim(pressure(level))
        }

    /** Any, because older releases do not have the class. */
    private var thermalListener: Any? = null

    init {
        context.registerReceiver(battery, IntentFilter(Intent.ACTION_BATTERY_CHANGED))?.let(::readBattery)
        context.registerComponentCallbacks(memoryCallbacks)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            val listener = PowerManager.OnThermalStatusChangedListener { thermal = it.toLong() }
            thermal = power.currentThermalStatus.toLong()
            power.addThermalStatusListener(Runnable::run, listener)
            thermalListener = listener
        }
    }

    override fun read(reading: Reading) {
        val now = SystemClock.elapsedRealtime()
        if (now - askedAt >= ASK_MS) {
            askedAt = now
            ask()
        }
        reading.set(Reading.Sensor.BATTERY_PERCENT, percent)
        reading.set(Reading.Sensor.CHARGING, charging)
        reading.set(Reading.Sensor.THERMAL_STATUS, thermal)
        reading.set(Reading.Sensor.HEADROOM_PERMILLE, headroom)
        reading.set(Reading.Sensor.LOW_POWER, saving)
        reading.set(Reading.Sensor.MEMORY_PRESSURE, if (scarce) maxOf(LOW, recentTrim(now)) else recentTrim(now))
    }

    /** For a benchmark. */
    fun condition(): Condition =
        Condition(
            thermalStatus = thermal.takeIf { it >= 0 }?.toInt(),
            batteryPercent = percent.takeIf { it >= 0 }?.toInt(),
            batteryCelsius = celsius.takeIf { !it.isNaN() },
            charging = charging.takeIf { it >= 0 }?.let { it == 1L },
        )

    override fun close() {
        context.unregisterReceiver(battery)
        context.unregisterComponentCallbacks(memoryCallbacks)
        val listener = thermalListener
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q && listener is PowerManager.OnThermalStatusChangedListener) {
            power.removeThermalStatusListener(listener)
        }
    }

    private fun ask() {
        saving = if (power.isPowerSaveMode) 1 else 0
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val share = power.getThermalHeadroom(0)
            headroom = if (share.isNaN()) Reading.UNKNOWN else (share * PERMILLE).toLong()
        }
        activities.getMemoryInfo(memory)
        scarce = memory.lowMemory
    }

    private fun readBattery(intent: Intent) {
        val level = intent.getIntExtra(BatteryManager.EXTRA_LEVEL, -1)
        val scale = intent.getIntExtra(BatteryManager.EXTRA_SCALE, -1)
        percent = if (level >= 0 && scale > 0) PERCENT * level / scale else Reading.UNKNOWN
        val status = intent.getIntExtra(BatteryManager.EXTRA_STATUS, BatteryManager.BATTERY_STATUS_UNKNOWN)
        charging =
            when (status) {
                BatteryManager.BATTERY_STATUS_UNKNOWN -> Reading.UNKNOWN
                BatteryManager.BATTERY_STATUS_CHARGING, BatteryManager.BATTERY_STATUS_FULL -> 1
                else -> 0
            }
        val tenths = intent.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Int.MIN_VALUE)
        celsius = if (tenths == Int.MIN_VALUE) Double.NaN else tenths / TENTHS
    }

    private fun readTrim(pressure: Long) {
        trimmed = pressure
        trimmedAt = SystemClock.elapsedRealtime()
    }

    /** Android says when memory gets scarce, and never when it is there again. */
    private fun recentTrim(now: Long): Long = if (now - trimmedAt < TRIM_MS) trimmed else 0

    @Suppress("DEPRECATION") // From Android 14 on these are not sent any more; lowMemory is asked for there.
    private fun pressure(level: Int): Long =
        when (level) {
            ComponentCallbacks2.TRIM_MEMORY_RUNNING_MODERATE -> MODERATE
            ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW -> LOW
            ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL -> CRITICAL
            else -> 0
        }

    private companion object {
        const val ASK_MS = 1_000L
        const val TRIM_MS = 30_000L
        const val PERMILLE = 1_000f
        const val PERCENT = 100L
        const val TENTHS = 10.0
        const val MODERATE = 1L
        const val LOW = 2L
        const val CRITICAL = 3L
    }
}
