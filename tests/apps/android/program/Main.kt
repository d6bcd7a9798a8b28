package program

import android.app.StandIn
import android.graphics.Bitmap
import com.sun.management.ThreadMXBean
import java.io.File
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import kotlin.system.exitProcess
import kotlinx.coroutines.runBlocking
import pocketfit.Contract
import pocketfit.Image
import pocketfit.Json
import pocketfit.PocketfitException
import pocketfit.Policy
import pocketfit.Reading
import pocketfit.Trust
import pocketfit.android.Answers
import pocketfit.android.BitmapImage
import pocketfit.android.CameraFrame
import pocketfit.android.DeviceSensors
import pocketfit.android.Pocketfit
import pocketfit.engine.Artifact
import pocketfit.engine.CPU
import pocketfit.engine.Engine
import pocketfit.engine.EngineFactory
import pocketfit.engine.EngineOptions
import pocketfit.engine.Engines
import pocketfit.engine.Threads
import pocketfit.run.Deployment
import pocketfit.run.Handover
import pocketfit.run.Model
import pocketfit.run.Outcome

/** What an app does, step by step: FUNCTION ARGUMENTS. Prints JSON. */
fun main(arguments: Array<String>) {
    val rest = arguments.drop(1)
    try {
        when (arguments[0]) {
            "classify" -> classify(rest)
            "camera" -> camera(rest)
            "switch" -> switch(rest)
            "selftest" -> selfTest(rest)
            "benchmark" -> withApp(rest) { println(it.benchmark(runs = 3, threads = listOf(1, 2))) }
            "policy" -> policy(rest)
            "sensors" -> sensors()
            "allocated" -> allocated(rest)
            "threads" -> println(Threads.best(File(rest[0])))
            else -> throw IllegalArgumentException(arguments[0])
        }
    } catch (error: PocketfitException) {
        System.err.println("refused: ${error.message}")
        exitProcess(2)
    }
    exitProcess(0)
}

/** Only the artifacts of one runtime, so that it is that one which answers. */
private class Only(
    private val runtime: String,
) {
    fun engines() = Engines(Engines.BUILT_IN.filterKeys { it == runtime })
}

/** ASSETS HOME RUNTIME DELEGATE, an app's two folders and how it is to run; properties say whom it trusts. */
private fun withApp(
    arguments: List<String>,
    handover: Handover = Handover { _, _, _ -> },
    use: suspend (Pocketfit) -> Unit,
) = runBlocking {
    val (assets, home, runtime, delegate) = arguments
    val options = EngineOptions(delegate.takeIf { it != CPU }, 1)
    val trust = Trust(key("public.key"), System.getProperty("least.release", "0").toLong(), key("model.key"))
    val app = Pocketfit.open(StandIn(File(assets), File(home)), options, Only(runtime).engines(), trust, handover)
    app.use { use(it) }
}

private fun key(property: String): ByteArray? = System.getProperty(property)?.let(Trust::key)

/** … PIXELS WIDTH HEIGHT ORIENTATION: pixels are RGBA. */
private fun classify(arguments: List<String>) =
    withApp(arguments) {
        val (pixels, width, height, orientation) = arguments.drop(4)
        val bytes = File(pixels).readBytes()
        val bitmap = Bitmap(width.toInt(), height.toInt(), bytes, Bitmap.Config.ARGB_8888)
        print(it.classify(bitmap, orientation.toInt()), it.model)
    }

/** … PIXELS WIDTH HEIGHT: first answers by day, then at night, then by day again, with the swaps between them. */
private fun switch(arguments: List<String>) {
    val (pixels, width, height) = arguments.drop(4)
    val bitmap = Bitmap(width.toInt(), height.toInt(), File(pixels).readBytes(), Bitmap.Config.ARGB_8888)
    val image = BitmapImage().take(bitmap)
    val told =
        Handover { from, to, reset ->
            println("{\"from\": ${from?.let { "\"$it\"" }}, \"to\": \"$to\", \"reset\": $reset}")
        }
    withApp(arguments, told) { app ->
        val read = { model: Model -> print(Answers.of(model), model) }
        for (scene in listOf("day", "night", "day")) {
            app.scene = scene
            val end = System.nanoTime() + PATIENCE
            while (app.frame(image, 1, read) != Outcome.FRESH) {
                check(System.nanoTime() < end) { "no answer of ${app.variant}: ${app.failure}" }
                Thread.sleep(5)
            }
        }
    }
}

/** … NV21 WIDTH HEIGHT ROTATION. */
private fun camera(arguments: List<String>) =
    withApp(arguments) {
        val (file, width, height, rotation) = arguments.drop(4)
        val frame = Frame(ByteBuffer.wrap(File(file).readBytes()), width.toInt(), height.toInt())
        print(it.classify(CameraFrame().take(frame, rotation.toInt())), it.model)
    }

/** An NV21 buffer as Android's camera hands it out: three planes, two of them interleaved. */
private class Frame(
    private val nv21: ByteBuffer,
    private val width: Int,
    private val height: Int,
) : android.media.Image() {
    private class Part(
        private val bytes: ByteBuffer,
        private val step: Int,
        private val stride: Int,
    ) : Plane() {
        override fun getBuffer() = bytes

        override fun getRowStride() = stride

        override fun getPixelStride() = step
    }

    override fun getFormat() = 35

    override fun getWidth() = width

    override fun getHeight() = height

    override fun getPlanes(): Array<Plane> =
        arrayOf(
            Part(from(0), 1, width),
            Part(from(width * height + 1), 2, width),
            Part(from(width * height), 2, width),
        )

    override fun close() = Unit

    private fun from(at: Int): ByteBuffer = (nv21.duplicate().position(at) as ByteBuffer).slice()
}

private fun print(
    found: Answers,
    model: Model?,
) {
    val classes =
        found.answers.joinToString {
            "{\"index\": ${it.index}, \"label\": \"${it.label}\", \"score\": ${it.score}}"
        }
    val artifact = model?.artifact
    println(
        "{\"answers\": [$classes], \"outputs\": [${found.outputs.joinToString { it.contentToString() }}], " +
            "\"runtime\": \"${artifact?.runtime}\", \"variant\": \"${artifact?.bundle?.name()}\", " +
            "\"device\": \"${model?.device}\", \"fallback\": ${model?.fallback != null}}",
    )
}

private fun selfTest(arguments: List<String>) =
    withApp(arguments) { app ->
        app.selfTest().forEach {
            val counts = "\"passed\": ${it.passed}, \"total\": ${it.total}"
            println("{\"name\": \"${it.name}\", $counts, \"told\": \"${it.told}\"}")
        }
    }

/** A net without weights: its outputs are the first numbers of its input, wherever it was opened for. */
private class Double(
    artifact: Artifact,
    options: EngineOptions,
) : Engine {
    override val device = options.delegate ?: CPU
    override val outputs = artifact.outputs.map { FloatArray(it.size) }

    override fun run(inputs: Array<ByteBuffer>) {
        for (i in 0 until outputs[0].size) {
            outputs[0][i] = inputs[0].getFloat(4 * i)
        }
    }

    override fun close() = Unit
}

private val doubles = Engines(listOf("litert", "onnxruntime", "ncnn").associateWith { EngineFactory(::Double) })

private fun noise(
    width: Int,
    height: Int,
): Image {
    val bytes = ByteBuffer.allocateDirect(width * height * 3 / 2)
    for (i in 0 until bytes.capacity()) {
        bytes.put(i, (i * 31).toByte())
    }
    return Image.yuv(bytes, height, width, Contract.Format.NV21, 0)
}

/** BUNDLE POLICY: a phone that becomes hot, then cool; prints each change of what is done. */
private fun policy(arguments: List<String>) {
    val bundle = pocketfit.Bundle.open(File(arguments[0]))
    val context = StandIn(File("."), File("."))
    val policy = Policy.fromJson(Json.parse(File(arguments[1]).readText()))
    DeviceSensors(context).use { sensors ->
        Deployment(bundle, policy, doubles, EngineOptions(threads = 1), sensors).use { deployment ->
            deployment.start()
            for (status in listOf(0, 4, 0)) {
                context.power.become(status)
                val outcomes = settle(deployment)
                println("{\"status\": $status, \"outcomes\": $outcomes, \"variant\": \"${deployment.variant}\"}")
            }
        }
    }
}

private fun settle(deployment: Deployment): String {
    val image = noise(32, 32)
    val outcomes = mutableListOf<Outcome>()
    repeat(40) {
        Thread.sleep(2)
        outcomes += deployment.frame(image, 1)
    }
    return outcomes.distinct().joinToString(prefix = "[", postfix = "]") { "\"$it\"" }
}

private fun sensors() {
    val context = StandIn(File("."), File("."))
    val sensors = DeviceSensors(context)
    val reading = Reading()
    print(sensors, reading)
    context.receiver.onReceive(context, StandIn.battery(15, 3))
    @Suppress("DEPRECATION")
    (context.callbacks as android.content.ComponentCallbacks2).onTrimMemory(15)
    print(sensors, reading)
    sensors.close()
    println("{\"closed\": ${context.receiver == null && context.callbacks == null}}")
}

private fun print(
    sensors: DeviceSensors,
    reading: Reading,
) {
    sensors.read(reading)
    val field = Reading::class.java.getDeclaredField("values")
    field.isAccessible = true
    val values = field.get(reading) as LongArray
    val told = Reading.Sensor.values().map { "\"${it.name}\": ${values[it.ordinal]}" }
    println(told.joinToString(prefix = "{", postfix = "}"))
}

/** ASSETS HOME: bytes that a frame takes once all is warm, through all but a runtime. */
private fun allocated(arguments: List<String>) {
    val threads = ManagementFactory.getThreadMXBean() as ThreadMXBean
    val thread = Thread.currentThread().id
    val context = StandIn(File(arguments[0]), File(arguments[1]))
    runBlocking { Pocketfit.open(context, EngineOptions(threads = 1), doubles) }.use { app ->
        val image = noise(640, 480)
        var answers = 0
        val read = { model: Model -> answers += model.answers.count }
        repeat(WARM) { app.frame(image, 1, read) }
        answers = 0
        val before = threads.getThreadAllocatedBytes(thread)
        repeat(FRAMES) { app.frame(image, 1, read) }
        val bytes = threads.getThreadAllocatedBytes(thread) - before
        println("{\"bytes\": $bytes, \"frames\": $FRAMES, \"answers\": $answers}")
    }
}

private const val PATIENCE = 60_000_000_000L
private const val WARM = 300
private const val FRAMES = 300
