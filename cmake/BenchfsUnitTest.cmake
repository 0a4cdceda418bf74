# SPDX-License-Identifier: Apache-2.0
# benchfs_unit_test(component file [dependency...])
#   Builds test_<file>.c of the current folder (tests/unit/<component>) with cmocka,
#   links the component and the named dependencies (component names or library
#   targets), and registers it as unit.<component>.<file>. Program: build/.../tests/.
function(benchfs_unit_test component file)
    set(target test_${component}_${file})
    benchfs_existing_sources(sources ${target} test_${file}.c)
    if(NOT sources)
        return()
    endif()
    add_executable(${target} test_${file}.c)
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests/unit")
    foreach(dependency IN ITEMS ${component} ${ARGN})
        if(TARGET benchfs_${dependency})
            target_link_libraries(${target} PRIVATE benchfs_${dependency})
        elseif(NOT dependency STREQUAL component)
            target_link_libraries(${target} PRIVATE ${dependency})
        endif()
    endforeach()
    target_link_libraries(${target} PRIVATE PkgConfig::CMOCKA)
    add_test(NAME unit.${component}.${file} COMMAND ${target})
    set(environment ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
        TSAN_OPTIONS=halt_on_error=1)
    set(timeout 60)
    if("thread" IN_LIST BENCHFS_SANITIZE)
        set(timeout 240)
        # UCX patches mmap() and friends, which ThreadSanitizer has patched already.
        list(APPEND environment UCX_MEM_EVENTS=n UCX_MEM_MMAP_HOOK_MODE=none)
    endif()
    set_tests_properties(unit.${component}.${file} PROPERTIES
        TIMEOUT ${timeout} LABELS "unit;${component}" ENVIRONMENT "${environment}")
endfunction()
