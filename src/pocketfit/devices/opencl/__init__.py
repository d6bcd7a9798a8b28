"""What an OpenCL device makes of one convolution in several memory layouts.

`device` finds devices, `convolution` says what is computed, `layouts` packs it, `variants` names the kernels,
`prepared` builds and runs one, `probe` checks and times all of them, `preference` judges the times, `meaning` puts it
into words.
Nothing here imports pyopencl before it is needed.
"""
