import AVFoundation
import Pocketfit

/// Hands frames of the camera to a recogniser, one after the other: frames that come meanwhile are
/// dropped.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
  let preview: AVCaptureVideoPreviewLayer

  private let session = AVCaptureSession()
  private let queue = DispatchQueue(label: "camera")
  private let recogniser: Recogniser

  init(_ recogniser: Recogniser) throws {
    self.recogniser = recogniser
    preview = AVCaptureVideoPreviewLayer(session: session)
    super.init()
    guard let device = AVCaptureDevice.default(for: .video) else {
      throw PocketfitError("there is no camera")
    }
    let input = try AVCaptureDeviceInput(device: device)
    let output = AVCaptureVideoDataOutput()
    output.videoSettings = [
      kCVPixelBufferPixelFormatTypeKey as String: recogniser.reader.pixelFormat
    ]
    output.alwaysDiscardsLateVideoFrames = true
    output.setSampleBufferDelegate(self, queue: queue)
    guard session.canAddInput(input), session.canAddOutput(output) else {
      throw PocketfitError("the camera cannot be used")
    }
    session.addInput(input)
    session.addOutput(output)
  }

  func start() {
    AVCaptureDevice.requestAccess(for: .video) { [queue, session] granted in
      if granted { queue.async { session.startRunning() } }
    }
  }

  func captureOutput(
    _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer,
    from connection: AVCaptureConnection
  ) {
    guard let buffer = CMSampleBufferGetImageBuffer(sampleBuffer) else { return }
    recogniser.recognise(buffer)
  }
}
