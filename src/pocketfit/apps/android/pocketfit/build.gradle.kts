import groovy.json.JsonSlurper

plugins {
    id("com.android.library")
    id("org.jetbrains.kotlin.android")
}

// What the bundle and its variants have artifacts for is built in, and nothing else.
fun manifest(folder: String) =
    JsonSlurper().parse(file("src/main/assets/pocketfit/bundle/$folder/manifest.json")) as Map<*, *>

fun runtimesOf(folder: String): List<String> {
    val artifacts = manifest(folder)["artifacts"] as List<*>
    return artifacts.map { (it as Map<*, *>)["runtime"] as String }
}

val variants = (manifest(".")["variants"] as Map<*, *>?).orEmpty().values.map { it as String }
val runtimes = (runtimesOf(".") + variants.flatMap(::runtimesOf)).toSet()
val native = runtimes.intersect(setOf("ncnn", "mnn"))

android {
    namespace = "pocketfit.android"
    compileSdk = 36

    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        ndk {
            abiFilters += listOf("arm64-v8a", "x86_64")
        }
        if (native.isNotEmpty()) {
            externalNativeBuild {
                cmake {
                    arguments += native.map { "-DPOCKETFIT_${it.uppercase()}=${property("pocketfit.$it")}" }
                }
            }
        }
    }

    if (native.isNotEmpty()) {
        externalNativeBuild {
            cmake {
                path = file("src/main/cpp/CMakeLists.txt")
            }
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    sourceSets {
        getByName("main") {
            kotlin.srcDir("src/main/kotlin")
        }
    }
}

kotlin {
    compilerOptions {
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_17
        allWarningsAsErrors = true
    }
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.10.2")
    val libraries =
        mapOf(
            "litert" to
                listOf(
                    "com.google.ai.edge.litert:litert:1.4.0",
                    "com.google.ai.edge.litert:litert-gpu:1.4.0",
                    "com.google.ai.edge.litert:litert-gpu-api:1.4.0",
                ),
            "onnxruntime" to listOf("com.microsoft.onnxruntime:onnxruntime-android:1.23.0"),
        )
    for ((runtime, names) in libraries) {
        names.forEach { add(if (runtime in runtimes) "implementation" else "compileOnly", it) }
    }
}
