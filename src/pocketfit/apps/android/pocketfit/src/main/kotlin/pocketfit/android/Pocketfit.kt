package pocketfit.android

import android.content.Context
import android.graphics.Bitmap
import android.os.Build
import java.io.Closeable
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import pocketfit.Bundle
import pocketfit.Image
import pocketfit.Json
import pocketfit.PocketfitException
import pocketfit.Policy
import pocketfit.Trust
import pocketfit.engine.EngineOptions
import pocketfit.engine.Engines
import pocketfit.engine.artifacts
import pocketfit.run.Check
import pocketfit.run.Deployment
import pocketfit.run.GoldenTest
import pocketfit.run.Handover
import pocketfit.run.Model
import pocketfit.run.Outcome
import pocketfit.run.Timing

/**
 * The bundle in an app's assets.
 *
 * ```
 * val pocketfit = Pocketfit.open(context)
 * val best = pocketfit.classify(bitmap).answers.first()
 * pocketfit.close()
 * ```
 *
 * May be used from any thread; one image is run at a time.
 */
class Pocketfit private constructor(
    private val bundle: Bundle,
    private val engines: Engines,
    private val deployment: Deployment,
    private val sensors: DeviceSensors,
) : Closeable {
    private val bitmaps = BitmapImage()

    /** The model in use, for what computes and why; it changes when a policy swaps variants. */
    val model: Model? get() = synchronized(deployment) { deployment.model }

    /** Name of the policy's variant in use, or being opened. */
    val variant: String? get() = synchronized(deployment) { deployment.variant }

    /** Why the variant last asked for cannot be opened, so that frames wait in vain; null where it can. */
    val failure: PocketfitException? get() = synchronized(deployment) { deployment.failure }

    /** For policies that look at the scene, such as "high-security". */
    var scene: String?
        get() = deployment.scene
        set(value) {
            deployment.scene = value
        }

    /**
     * Answers for a bitmap.
     *
     * @param orientation as EXIF counts, 1 to 8; 1 where it stands upright.
     */
    suspend fun classify(
        bitmap: Bitmap,
        orientation: Int = 1,
    ): Answers = work { Answers.of(deployment.still(bitmaps.take(bitmap), orientation)) }

    /** Answers for one frame of a camera, which has to stay open until then. */
    suspend fun classify(frame: CameraFrame): Answers =
        work { Answers.of(deployment.still(frame.image, frame.orientation)) }

    /**
     * Takes a frame of a stream on the calling thread, as the policy says.
     *
     * This is the way for cameras: nothing is allocated, and the answers stay in the model's buffers. Hand over the
     * latest frame alone, as CameraX does with STRATEGY_KEEP_ONLY_LATEST.
     *
     * @param read is given the model with its answers where they are new; make it once, not for every frame.
     */
    fun frame(
        image: Image,
        orientation: Int,
        read: (Model) -> Unit,
    ): Outcome =
        synchronized(deployment) {
            val outcome = deployment.frame(image, orientation)
            if (outcome == Outcome.FRESH) {
                deployment.model?.let(read)
            }
            outcome
        }

    /** Whether this phone gives the answers that Pocketfit promised: vectors, and every artifact on golden inputs. */
    suspend fun selfTest(options: EngineOptions = EngineOptions()): List<Check> =
        work { GoldenTest(bundle, engines).run(options) }

    /** Times the artifacts of the bundle's first variant; the JSON is for `pocketfit measure --benchmark`. */
    suspend fun benchmark(
        delegates: List<String?> = listOf(null),
        threads: List<Int> = listOf(1),
        runs: Int = 50,
        seconds: Double = 0.0,
    ): String =
        work {
            val phone = "${Build.MANUFACTURER} ${Build.MODEL}, Android ${Build.VERSION.RELEASE}"
            Timing(engines, phone, sensors::condition).run(bundle.artifacts(), delegates, threads, runs, seconds)
        }

    override fun close() {
        synchronized(deployment) {
            deployment.close()
            sensors.close()
        }
    }

    private suspend fun <T> work(task: () -> T): T =
        withContext(Dispatchers.Default) { synchronized(deployment) { task() } }

    companion object {
        /**
         * Opens the bundle below `assets/pocketfit`, checks all its files and opens the first model.
         *
         * @param options for artifacts that no policy says more of.
         * @param trust who has to have signed the bundle, its least release, and the key of encrypted models.
         * @param handover is told of every swap of variants, the first one included.
         */
        suspend fun open(
            context: Context,
            options: EngineOptions = EngineOptions(),
            engines: Engines = Engines(),
            trust: Trust = Trust.NONE,
            handover: Handover = Handover { _, _, _ -> },
        ): Pocketfit =
            withContext(Dispatchers.IO) {
                val assets = AssetFolder(context)
                val bundle = Bundle.open(assets.bundle(), trust)
                val beside = assets.policy()?.let { Policy.fromJson(Json.parse(it)) }
                val policy = beside ?: if (bundle.has("policy")) bundle.policy() else null
                val sensors = DeviceSensors(context)
                val deployment = Deployment(bundle, policy, engines, options, sensors, handover)
                try {
                    deployment.start()
                    Pocketfit(bundle, engines, deployment, sensors)
                } catch (error: Exception) {
                    deployment.close()
                    sensors.close()
                    throw error
                }
            }
    }
}
