import Pocketfit
import PocketfitSelfTest
import UIKit

/// Shows what the camera sees, and what the model says of it.
final class CameraViewController: UIViewController {
  private let label = UILabel(frame: .zero)
  private let sensors = DeviceSensors()
  private var camera: Camera?
  private var timer: Timer?

  override func viewDidLoad() {
    super.viewDidLoad()
    label.numberOfLines = 0
    label.textColor = .white
    do {
      try open()
    } catch {
      label.text = "\(error)"
    }
    view.addSubview(label)
  }

  override func viewDidLayoutSubviews() {
    super.viewDidLayoutSubviews()
    camera?.preview.frame = view.bounds
    label.frame = view.bounds
  }

  private func open() throws {
    guard let folder = Foundation.Bundle.main.url(forResource: "bundle", withExtension: nil) else {
      throw PocketfitError("add the folder bundle to the app, as a folder reference")
    }
    try SelfTest.check(folder)
    let policy = try Foundation.Bundle.main.url(forResource: "policy", withExtension: "json").map {
      try Policy(Json.parse(ModelBundle.text(of: $0)))
    }
    let recogniser = try Recogniser(ModelBundle.open(folder), policy) { [weak self] text in
      DispatchQueue.main.async { self?.label.text = text }
    }
    let camera = try Camera(recogniser)
    view.layer.addSublayer(camera.preview)
    camera.start()
    self.camera = camera
    timer = Timer.scheduledTimer(withTimeInterval: 1, repeats: true) { [weak self] _ in
      MainActor.assumeIsolated {
        guard let self else { return }
        recogniser.notice(self.sensors.read())
      }
    }
  }
}
