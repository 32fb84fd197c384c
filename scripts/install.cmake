# `cmake --install` makes a folder that runs wherever it is copied: the program, the runtime as a
# CMake package, the shipped winners, and the distribution's shared libraries beside them.
set(remote_libraries moetune_messages moetune_proto moetune_runtime_remote)
install(TARGETS moetune RUNTIME_DEPENDENCY_SET moetune_dependencies RUNTIME DESTINATION bin)
install(TARGETS moetune_kernels moetune_db moetune_runtime EXPORT moetuneTargets
        ARCHIVE DESTINATION lib)
install(TARGETS ${remote_libraries} EXPORT moetuneRemoteTargets ARCHIVE DESTINATION lib)
install(DIRECTORY kernels db runtime DESTINATION include/moetune
        FILES_MATCHING PATTERN "*.h" PATTERN "numeric.cuh" PATTERN "tile_queue.cuh")
install(DIRECTORY db/shipped DESTINATION share/moetune FILES_MATCHING PATTERN "*.txt")
install(FILES LICENSE DESTINATION share/moetune)

include(CMakePackageConfigHelpers)
set(package lib/cmake/moetune)
foreach(export moetuneTargets moetuneRemoteTargets)
  install(EXPORT ${export} NAMESPACE moetune:: DESTINATION ${package})
endforeach()
configure_package_config_file(scripts/moetuneConfig.cmake.in ${CMAKE_BINARY_DIR}/moetuneConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/moetuneConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/moetuneConfig.cmake ${CMAKE_BINARY_DIR}/moetuneConfigVersion.cmake
        DESTINATION ${package})

# The C and C++ runtimes and the GPU's libraries belong to the machine that it runs on.
install(RUNTIME_DEPENDENCY_SET moetune_dependencies
        PRE_EXCLUDE_REGEXES "^(libc|libm|libdl|librt|libpthread)\\.so" "^ld-linux"
                            "^lib(stdc\\+\\+|gcc_s)\\.so" "^lib(cuda|nvrtc)"
        LIBRARY DESTINATION lib)
