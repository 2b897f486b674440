"""DNS-SD on the clients' interfaces: announces eSCL scanners, and notices those that others announce."""
