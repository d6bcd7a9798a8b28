#include <jni.h>

#include "net.hpp"

namespace {

using pocketfit::Net;
using pocketfit::Request;

/// A network and what is kept between its runs, so that a frame needs no memory here.
struct Handle {
    std::unique_ptr<Net> net;
    std::vector<const float*> inputs;
    std::vector<std::size_t> bytes;
};

void raise(JNIEnv* env, const char* message) {
    jclass kind = env->FindClass("pocketfit/PocketfitException");
    if (kind != nullptr) {
        env->ThrowNew(kind, message);
    }
}

std::vector<std::string> strings(JNIEnv* env, jobjectArray array) {
    std::vector<std::string> found;
    for (jsize i = 0; i < env->GetArrayLength(array); i++) {
        auto text = static_cast<jstring>(env->GetObjectArrayElement(array, i));
        const char* bytes = env->GetStringUTFChars(text, nullptr);
        found.emplace_back(bytes);
        env->ReleaseStringUTFChars(text, bytes);
        env->DeleteLocalRef(text);
    }
    return found;
}

std::vector<std::string> contents_of(JNIEnv* env, jobjectArray array) {
    std::vector<std::string> found;
    for (jsize i = 0; i < env->GetArrayLength(array); i++) {
        auto content = static_cast<jbyteArray>(env->GetObjectArrayElement(array, i));
        std::string bytes(static_cast<std::size_t>(env->GetArrayLength(content)), '\0');
        env->GetByteArrayRegion(content, 0, env->GetArrayLength(content), reinterpret_cast<jbyte*>(bytes.data()));
        found.push_back(std::move(bytes));
        env->DeleteLocalRef(content);
    }
    return found;
}

std::vector<std::vector<int>> shapes_of(JNIEnv* env, jobjectArray array) {
    std::vector<std::vector<int>> found;
    for (jsize i = 0; i < env->GetArrayLength(array); i++) {
        auto shape = static_cast<jintArray>(env->GetObjectArrayElement(array, i));
        std::vector<int> sides(static_cast<std::size_t>(env->GetArrayLength(shape)));
        env->GetIntArrayRegion(shape, 0, env->GetArrayLength(shape), sides.data());
        found.push_back(std::move(sides));
        env->DeleteLocalRef(shape);
    }
    return found;
}

void read_inputs(JNIEnv* env, jobjectArray buffers, Handle& handle) {
    handle.inputs.clear();
    handle.bytes.clear();
    for (jsize i = 0; i < env->GetArrayLength(buffers); i++) {
        jobject buffer = env->GetObjectArrayElement(buffers, i);
        const void* address = env->GetDirectBufferAddress(buffer);
        if (address == nullptr) {
            throw std::runtime_error("an input is no direct buffer");
        }
        handle.inputs.push_back(static_cast<const float*>(address));
        handle.bytes.push_back(static_cast<std::size_t>(env->GetDirectBufferCapacity(buffer)));
        env->DeleteLocalRef(buffer);
    }
}

void write_outputs(JNIEnv* env, jobjectArray arrays, Net& net) {
    for (jsize i = 0; i < env->GetArrayLength(arrays); i++) {
        auto array = static_cast<jfloatArray>(env->GetObjectArrayElement(arrays, i));
        const std::vector<float>& values = net.output(static_cast<std::size_t>(i));
        if (static_cast<std::size_t>(env->GetArrayLength(array)) != values.size()) {
            throw std::runtime_error("the network gives " + std::to_string(values.size()) +
                                     " numbers, and its bundle says " + std::to_string(env->GetArrayLength(array)));
        }
        env->SetFloatArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
        env->DeleteLocalRef(array);
    }
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_pocketfit_engine_NativeNet_open(JNIEnv* env, jclass, jstring runtime, jobjectArray files,
                                                             jobjectArray contents, jobjectArray inputs,
                                                             jobjectArray shapes, jobjectArray outputs, jint threads,
                                                             jstring delegate) {
    try {
        const char* name = env->GetStringUTFChars(runtime, nullptr);
        const std::string asked(name);
        env->ReleaseStringUTFChars(runtime, name);
        Request request{strings(env, files), strings(env, inputs), shapes_of(env, shapes), strings(env, outputs),
                        threads};
        const char* device = env->GetStringUTFChars(delegate, nullptr);
        request.delegate = device;
        request.contents = contents_of(env, contents);
        env->ReleaseStringUTFChars(delegate, device);
        auto handle = std::make_unique<Handle>();
        handle->net = pocketfit::open_net(asked, request);
        return reinterpret_cast<jlong>(handle.release());
    } catch (const std::exception& error) {
        raise(env, error.what());
        return 0;
    }
}

JNIEXPORT void JNICALL Java_pocketfit_engine_NativeNet_run(JNIEnv* env, jclass, jlong net, jobjectArray inputs,
                                                           jobjectArray outputs) {
    try {
        auto& handle = *reinterpret_cast<Handle*>(net);
        read_inputs(env, inputs, handle);
        handle.net->run(handle.inputs, handle.bytes);
        write_outputs(env, outputs, *handle.net);
    } catch (const std::exception& error) {
        raise(env, error.what());
    }
}

JNIEXPORT void JNICALL Java_pocketfit_engine_NativeNet_close(JNIEnv*, jclass, jlong net) {
    delete reinterpret_cast<Handle*>(net);
}

}  // extern "C"
