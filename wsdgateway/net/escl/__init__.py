"""The eSCL service of a bridged scanner: capabilities, status, jobs and pages over HTTP."""
