package pocketfit.run

import java.io.Closeable
import java.util.concurrent.ExecutionException
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import java.util.concurrent.Future
import pocketfit.Bundle
import pocketfit.Decision
import pocketfit.Image
import pocketfit.PocketfitException
import pocketfit.Policy
import pocketfit.PolicyEngine
import pocketfit.Reading
import pocketfit.engine.Artifact
import pocketfit.engine.EngineOptions
import pocketfit.engine.Engines
import pocketfit.engine.artifacts

/** What became of a frame. */
enum class Outcome {
    /** The model ran, and its answers are new. */
    FRESH,

    /** The policy spares this frame; the last answers stay. */
    KEPT,

    /** Another variant is being opened; the last answers stay. */
    WAITING,
}

/** What a policy looks at. */
fun interface Sensors {
    /** Sets what is known; what is not stays unknown. */
    fun read(reading: Reading)
}

/** What an app keeps from frame to frame, such as tracks and smoothed scores, when another variant takes over. */
fun interface Handover {
    /**
     * The variant [from] is closed, and [to] is being opened; called on the thread of the frame.
     *
     * @param from null for the first variant.
     * @param reset whether the policy has what is kept begun anew; else it goes on with the new variant's answers.
     */
    fun swap(
        from: String?,
        to: String,
        reset: Boolean,
    )
}

/**
 * Runs a bundle frame by frame as its policy says; without a policy, the artifact to ship whose runtime is there.
 *
 * Frames are taken one at a time on the caller's thread, models are opened on another. A camera hands over its latest
 * frame and drops those that come meanwhile.
 */
class Deployment(
    private val bundle: Bundle,
    private val policy: Policy?,
    private val engines: Engines = Engines(),
    private val options: EngineOptions = EngineOptions(),
    private val sensors: Sensors = Sensors { },
    private val handover: Handover = Handover { _, _, _ -> },
) : Closeable {
    /** The model in use; null while the first one is opened. */
    var model: Model? = null
        private set

    /** Name of the policy's variant in use. */
    var variant: String? = null
        private set

    /** Why the variant that was last asked for cannot be opened; null where it can. */
    var failure: PocketfitException? = null
        private set

    /** To be set by the app, for policies that look at it. */
    @Volatile
    var scene: String? = null

    private val engine = policy?.let(::PolicyEngine)
    private val reading = Reading()
    private val loader: ExecutorService = Executors.newSingleThreadExecutor()
    private var loading: Future<Model>? = null

    /** Opens the first model and waits for it; without this, the first frames are [Outcome.WAITING]. */
    fun start() {
        if (model == null && loading == null) {
            decide()
        }
        take(wait = true)
        failure?.let { throw it }
    }

    /** Takes a frame of a stream, as the policy says. */
    fun frame(
        image: Image,
        orientation: Int,
    ): Outcome {
        take(wait = false)
        val action = decide()
        val now = model
        if (now == null || action == Decision.Action.WAIT) {
            return Outcome.WAITING
        }
        if (action == Decision.Action.SKIP) {
            return Outcome.KEPT
        }
        run(now, image, orientation)
        return if (action == Decision.Action.INFER) Outcome.FRESH else Outcome.WAITING
    }

    /** Answers for one image by the variant in use, whatever the policy says of frames to spare. */
    fun still(
        image: Image,
        orientation: Int,
    ): Model {
        start()
        val now = checkNotNull(model)
        run(now, image, orientation)
        return now
    }

    override fun close() {
        loader.shutdown()
        loading?.let { runCatching { it.get().close() } }
        loading = null
        model?.close()
        model = null
    }

    private fun run(
        now: Model,
        image: Image,
        orientation: Int,
    ) {
        val begin = System.nanoTime()
        now.run(image, orientation)
        reading.set(Reading.Sensor.FRAME_US, (System.nanoTime() - begin) / NANOS_PER_MICRO)
    }

    private fun decide(): Decision.Action {
        val policyEngine = engine ?: return decideWithoutPolicy()
        reading.timeMs = System.nanoTime() / NANOS_PER_MILLI
        reading.scene = scene
        reading.ready = model != null && loading == null
        sensors.read(reading)
        val decision = policyEngine.step(reading)
        if (decision.command == Decision.Command.SWAP) {
            swap(decision.variant, decision.reset)
        }
        return decision.action
    }

    private fun decideWithoutPolicy(): Decision.Action {
        if (model == null && loading == null && failure == null) {
            load(bundle::artifacts, options)
        }
        return Decision.Action.INFER
    }

    private fun swap(
        index: Int,
        reset: Boolean,
    ) {
        val next = checkNotNull(policy).variants[index]
        val threads = if (next.threads > 0) next.threads else options.threads
        val before = variant
        variant = next.name
        load({ named(next) }, EngineOptions(next.delegate, threads))
        handover.swap(before, next.name, reset)
    }

    /** Those that there are: a policy may name artifacts that only other apps' bundles have. */
    private fun named(variant: Policy.Variant): List<Artifact> =
        variant.artifacts.mapNotNull { wanted ->
            val home = bundle.find(wanted)
            home?.artifacts()?.firstOrNull { it.runtime == wanted.runtime && it.precision == wanted.precision }
        }

    /** The old model is closed first: two at once may not fit into memory. */
    private fun load(
        candidates: () -> List<Artifact>,
        how: EngineOptions,
    ) {
        val before = model
        val unfinished = loading
        model = null
        failure = null
        loading =
            loader.submit<Model> {
                before?.close()
                unfinished?.let { runCatching { it.get().close() } }
                open(candidates(), how)
            }
    }

    private fun open(
        candidates: List<Artifact>,
        how: EngineOptions,
    ): Model {
        val reasons = mutableListOf<String>()
        for (artifact in candidates) {
            try {
                return Model(artifact, engines.open(artifact, how))
            } catch (error: PocketfitException) {
                reasons += "$artifact: ${error.message}"
            }
        }
        throw PocketfitException("nothing of the bundle can be opened here: ${reasons.joinToString("; ")}")
    }

    private fun take(wait: Boolean) {
        val pending = loading ?: return
        if (!wait && !pending.isDone) {
            return
        }
        loading = null
        try {
            model = pending.get()
        } catch (error: ExecutionException) {
            failure = error.cause as? PocketfitException ?: PocketfitException("the model cannot be opened: $error")
        }
    }

    private companion object {
        const val NANOS_PER_MICRO = 1_000L
        const val NANOS_PER_MILLI = 1_000_000L
    }
}
