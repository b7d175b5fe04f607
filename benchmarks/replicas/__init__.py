"""One bad replica of three: what do callers feel, by proxy, from the moment it goes bad?"""
