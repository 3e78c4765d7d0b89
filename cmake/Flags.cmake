# Warnings, sanitizers, and the per-file instruction-set flags. No -ffast-math, no -march=native:
# one binary runs on any processor of the family and picks its kernels at start.
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wpointer-arith -Wwrite-strings -Wvla -fno-math-errno -ffp-contract=off)
if(STAPES_WERROR)
  add_compile_options(-Werror)
endif()
if(STAPES_SANITIZE)
  add_compile_options(-fsanitize=${STAPES_SANITIZE} -fno-omit-frame-pointer -g
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${STAPES_SANITIZE})
endif()
set(STAPES_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(STAPES_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
                        -mprefer-vector-width=512)
