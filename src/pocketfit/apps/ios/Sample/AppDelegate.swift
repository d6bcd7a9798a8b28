import UIKit

@main
final class AppDelegate: UIResponder, UIApplicationDelegate {
  private var window: UIWindow?

  func application(
    _ application: UIApplication,
    didFinishLaunchingWithOptions launchOptions: [UIApplication.LaunchOptionsKey: Any]?
  ) -> Bool {
    let window = UIWindow(frame: UIScreen.main.bounds)
    window.rootViewController = CameraViewController()
    window.makeKeyAndVisible()
    self.window = window
    return true
  }
}
