// swift-tools-version: 5.9
import PackageDescription

// The engines for ONNX Runtime and LiteRT are compiled where their modules are at hand. For ONNX
// Runtime, add to the package
//     dependencies: [
//       .package(
//         url: "https://github.com/microsoft/onnxruntime-swift-package-manager", from: "1.20.0")
//     ],
// and to the target Pocketfit
//     dependencies: [
//       .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager")
//     ]
// LiteRT's Swift library comes through CocoaPods: see docs/apps.md.
let package = Package(
  name: "Pocketfit",
  platforms: [.iOS(.v15), .macOS(.v12)],
  products: [
    .library(name: "Pocketfit", targets: ["Pocketfit"]),
    .library(name: "PocketfitSelfTest", targets: ["PocketfitSelfTest"]),
  ],
  targets: [
    .target(name: "Pocketfit"),
    .target(name: "PocketfitSelfTest", dependencies: ["Pocketfit"]),
    .executableTarget(name: "selftest", dependencies: ["PocketfitSelfTest"]),
    .testTarget(name: "PocketfitTests", dependencies: ["Pocketfit", "PocketfitSelfTest"]),
  ]
)
