# SPDX-License-Identifier: Apache-2.0
# A component is a folder and a static library. It sees its own headers and those of
# its dependencies only, as "name/header.h": each component exports an include folder
# of its own that holds one symlink, named after the component, to its sources.
#
# benchfs_existing_sources(result owner file...)
#   The files that are there, relative to the current folder. A missing one is left out
#   with a warning, or ends the build with BENCHFS_WERROR.
function(benchfs_existing_sources result owner)
    set(existing "")
    set(severity WARNING)
    if(BENCHFS_WERROR)
        set(severity FATAL_ERROR)
    endif()
    foreach(file IN LISTS ARGN)
        get_filename_component(path "${file}" ABSOLUTE)
        get_source_file_property(is_generated "${path}" GENERATED)
        if(is_generated OR EXISTS "${path}")
            list(APPEND existing "${file}")
        else()
            message(${severity} "${owner} misses ${path}")
        endif()
    endforeach()
    set(${result} "${existing}" PARENT_SCOPE)
endfunction()

# benchfs_component(NAME name SOURCES file.c... [DEPENDS component...]
#                   [LIBRARIES target...] [DIRECTORY dir])
#   DEPENDS    components whose headers this one's headers and sources may include
#   LIBRARIES  third-party libraries; not visible in the include path of users
#   DIRECTORY  folder "name/" stands for; the current source folder by default
function(benchfs_component)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;DIRECTORY"
        "SOURCES;DEPENDS;LIBRARIES")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
        message(FATAL_ERROR "benchfs_component: wrong arguments: ${ARGV}")
    endif()
    if(NOT arg_DIRECTORY)
        set(arg_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    endif()
    set(target benchfs_${arg_NAME})
    set(include_dir "${PROJECT_BINARY_DIR}/include/${arg_NAME}")
    file(MAKE_DIRECTORY "${include_dir}")
    file(CREATE_LINK "${arg_DIRECTORY}" "${include_dir}/${arg_NAME}" SYMBOLIC)

    benchfs_existing_sources(sources ${target} ${arg_SOURCES})
    if(NOT sources)
        set(sources "${PROJECT_BINARY_DIR}/no_sources.c")
        file(TOUCH "${sources}")
    endif()
    add_library(${target} STATIC ${sources})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(${target} PUBLIC "${include_dir}")
    list(TRANSFORM arg_DEPENDS PREPEND benchfs_)
    target_link_libraries(${target} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_LIBRARIES})
endfunction()
