# SPDX-License-Identifier: Apache-2.0
# Language, warnings, hardening and sanitizers, the same for every target.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
# The plugin and the shared library link the static component libraries, and must
# export nothing of them.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
# No NDEBUG: a broken invariant in a file system must stop it, not corrupt data.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2")

add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64
    BENCHFS_VERSION="${PROJECT_VERSION}")
add_compile_options(
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wvla -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef
    -Wimplicit-fallthrough -fno-common -fstack-protector-strong)
if(BENCHFS_WERROR)
    add_compile_options(-Werror)
endif()

if(BENCHFS_SANITIZE)
    list(JOIN BENCHFS_SANITIZE "," benchfs_sanitizers)
    add_compile_options(-fsanitize=${benchfs_sanitizers} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${benchfs_sanitizers})
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" OR CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
if(BENCHFS_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_compile_definitions(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(BENCHFS_FAULT_POINTS)
    add_compile_definitions(BENCHFS_WITH_FAULT_POINTS)
endif()
if(BENCHFS_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
